"""One flight with the tracker: every frame rendered, shown to `onboard.Tracker` in order, and its state judged."""

import pickle
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from onboard import Fix, OrbitState, Status, Tracker, TrackStatus
from onboard.camera import Camera
from onboard.geodesy import Array, distance_m
from onboard.tracker import Sighter
from onboard.utc import nanoseconds
from onboard.whole_pass import Look, looking_back
from sim.attitude import NadirPointing
from sim.errors import SimError
from sim.flight_scenario import FlightScenario
from sim.record_log import Record
from sim.scenario import Flight, Shot
from sim.station import JPEG_QUALITY
from sim.subjects import Studio
from sim.texture import Mosaic


@dataclass(frozen=True, eq=False)
class TrackPlan:
    """What a worker needs; travels by pickle. open_localizer: makes the runtime, once a worker; altitude_m: what the
    tracker is told, value and sigma; mirrored: every frame is shown mirrored, so that there is nothing to be found."""

    camera: Camera
    mosaic: Mosaic
    open_localizer: Callable[[], Sighter]
    altitude_m: tuple[float, float]
    mirrored: bool = False

    def packed(self) -> bytes:
        """To be unpacked by `track`."""
        return zlib.compress(pickle.dumps(self))


@dataclass(frozen=True, eq=False)
class FlightJob:
    """A flight's number, its shots in order of time, and its true velocities (N, 3), ECEF, as seen from the Earth;
    mount_heading_deg: what the tracker is told of how the camera is mounted."""

    number: int
    revolution_s: float
    shots: tuple[Shot, ...]
    velocities_ecef_m_s: Array
    mount_heading_deg: float | None = None


def track(packed_plan: bytes, job: FlightJob) -> Record:
    """The record of a flight: ``index``, ``revolution_s`` and its ``frames``, one record each (`judged`), with the
    state at that frame by all of them, ``afterwards``."""
    plan, studio, localizer = _set_up(packed_plan)
    tracker = Tracker(localizer, job.mount_heading_deg)
    looks = []
    for shot in job.shots:
        frame = _as_flown(studio.observe(shot).frame)
        if plan.mirrored:
            frame = np.ascontiguousarray(frame[:, ::-1])
        looks.append(Look.of(tracker, frame, nanoseconds(shot.time), plan.altitude_m))
    frames = []
    for shot, velocity, look, after in zip(job.shots, job.velocities_ecef_m_s, looks, looking_back(looks), strict=True):
        seconds = float((shot.time - job.shots[0].time) / np.timedelta64(1, "s"))
        flown, afterwards = judged(look.state, shot, velocity), _judged_state(after, shot, velocity)
        frames.append({"frame": shot.index, "seconds": seconds} | flown | {"afterwards": afterwards})
    return {"index": job.number, "revolution_s": job.revolution_s, "frames": frames}


def judged(state: OrbitState, shot: Shot, velocity_ecef_m_s: Array) -> Record:
    """A state and the frame's own fix beside the truth. Errors are null where there is nothing to judge; error_m: along
    the ground; position_error_m, velocity_error_m_s: lengths in space; nees: of position and velocity, chi-squared
    with six degrees of freedom if the covariance is honest."""
    return {
        "status": state.status.value,
        "reason": state.reason,
        "fix_status": None if state.fix is None else state.fix.status.value,
        "fix_error_m": _fix_error_m(state.fix, shot),
    } | _judged_state(state, shot, velocity_ecef_m_s)


def _judged_state(state: OrbitState, shot: Shot, velocity_ecef_m_s: Array) -> Record:
    record: Record = {
        "used": state.status is TrackStatus.TRACKING,
        "error_m": None, "sigma_m": None, "position_error_m": None, "velocity_error_m_s": None, "nees": None,
    }  # fmt: skip
    if not state:
        return record
    offset = np.concatenate([state.position_ecef_m - shot.position_ecef_m, state.velocity_ecef_m_s - velocity_ecef_m_s])
    return record | {
        "error_m": float(distance_m(state.lat_deg, state.lon_deg, shot.lat_deg, shot.lon_deg)),
        "sigma_m": state.sigma_m,
        "position_error_m": float(np.linalg.norm(offset[:3])),
        "velocity_error_m_s": float(np.linalg.norm(offset[3:])),
        "nees": float(offset @ np.linalg.solve(state.covariance, offset)),
    }


def flight_jobs(scenario: FlightScenario, shots: Sequence[Shot], mount_told: bool = False) -> list[FlightJob]:
    """The shots of a scenario by flight. Raises SimError for a mount that is to be told where there is none."""
    return [
        FlightJob(
            number,
            flight.revolution_s,
            tuple(shot for shot in shots if shot.flight == number),
            flight.orbit.states(flight.times)[1],
            _mount_heading_deg(flight) if mount_told else None,
        )
        for number, flight in enumerate(scenario.flights)
    ]


def _mount_heading_deg(flight: Flight) -> float:
    if not isinstance(flight.attitude, NadirPointing):
        raise SimError("only a camera that is held along the track has a mount to be told of")
    return flight.attitude.camera_yaw_deg


def _fix_error_m(fix: Fix | None, shot: Shot) -> float | None:
    if fix is None or fix.status is not Status.FIX:
        return None
    return float(distance_m(fix.lat_deg, fix.lon_deg, shot.lat_deg, shot.lon_deg))


def _as_flown(frame: np.ndarray) -> np.ndarray:
    """The frame as its JPEG file would show it."""
    encoded, jpeg = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise SimError("a frame could not be encoded")
    return np.ascontiguousarray(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[..., ::-1])


@lru_cache(maxsize=1)
def _set_up(packed_plan: bytes) -> tuple[TrackPlan, Studio, Sighter]:
    cv2.setNumThreads(1)  # there is a process a core
    threadpool_limits(1)  # of BLAS and of faiss
    plan: TrackPlan = pickle.loads(zlib.decompress(packed_plan))
    return plan, Studio(plan.camera, plan.mosaic), plan.open_localizer()
