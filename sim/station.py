"""One worker's simulator and runtime: a shot goes in, its truth, its fix and its picture come out."""

import pickle
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from onboard.acceptance import Acceptance
from onboard.camera import Camera
from onboard.evidence import Evidence
from onboard.fix import Attitude, Vertical
from onboard.geodesy import ecef_from_ned
from sim.attitude import quat_wxyz
from sim.errors import SimError
from sim.footprint import outline_lonlat_deg
from sim.judgement import BestPlace, Record, fix_record, truth_record
from sim.ocean import OceanMask
from sim.scenario import Shot
from sim.subjects import Studio
from sim.texture import Mosaic

JPEG_QUALITY = 95
ATTITUDE_SIGMA_RAD = np.radians(1.0)  # what a told attitude claims


class FrameLocalizer(Protocol):
    """What a campaign asks of the runtime: `onboard.Localizer`."""

    @property
    def acceptance(self) -> Acceptance: ...

    def examine(
        self,
        frame: Any,
        *,
        timestamp_ns: int | None = None,
        altitude_m: tuple[float, float] | None = None,
        attitude: Attitude | None = None,
        vertical: Vertical | None = None,
    ) -> Evidence: ...


@dataclass(frozen=True)
class Flown:
    """What became of one shot: its records, and the frame as a JPEG file."""

    truth: Record
    fix: Record
    jpeg: bytes


@dataclass(frozen=True, eq=False)
class Plan:
    """What a station is made of; travels to every worker by pickle.

    open_localizer: makes the runtime, once a worker; altitude_m: what the runtime is told, value and sigma; ocean:
    where the ocean mask lies for workers of this machine to share; those of another read their own; vertical_sigma_rad:
    how well a horizon sensor tells the vertical of every frame, None where there is none.
    """

    camera: Camera
    mosaic: Mosaic
    open_localizer: Callable[[], FrameLocalizer]
    altitude_m: tuple[float, float]
    ocean: Path | None = None
    vertical_sigma_rad: float | None = None

    def packed(self) -> bytes:
        """To be unpacked by `fly`; small, for a mask compresses well."""
        return zlib.compress(pickle.dumps(self))


class Station:
    """A plan set up. One shot at a time."""

    def __init__(self, plan: Plan) -> None:
        cv2.setNumThreads(1)  # there is a process a core
        threadpool_limits(1)  # of BLAS and of faiss
        self._plan = plan
        self._localizer = plan.open_localizer()
        shared = plan.ocean is not None and plan.ocean.is_dir()
        self._studio = Studio(plan.camera, plan.mosaic, OceanMask(plan.ocean if shared else None))
        self._lock = threading.Lock()  # a Dask worker may have several threads

    def fly(self, shot: Shot) -> Flown:
        """Render, localize and judge. The runtime sees the frame as its JPEG file shows it."""
        with self._lock:
            start = time.perf_counter()
            seen = self._studio.observe(shot)
            encoded, jpeg = cv2.imencode(".jpg", seen.frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            if not encoded:
                raise SimError(f"frame {shot.index} could not be encoded")
            frame = np.ascontiguousarray(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[..., ::-1])
            rendered = time.perf_counter()
            timestamp_ns = int(shot.time.astype("datetime64[ns]").astype(np.int64))
            evidence = self._localizer.examine(
                frame, timestamp_ns=timestamp_ns, altitude_m=self._plan.altitude_m, attitude=told_attitude(shot),
                vertical=measured_vertical(shot, self._plan.vertical_sigma_rad),
            )  # fmt: skip
            latency_ms = (time.perf_counter() - rendered) * 1e3
        outline = outline_lonlat_deg(self._plan.camera, shot.position_ecef_m, shot.ecef_from_cam)
        truth = truth_record(shot, seen, outline)
        best = BestPlace.of(evidence, self._localizer.acceptance)
        record = fix_record(truth, evidence.fix, latency_ms, (rendered - start) * 1e3, best)
        return Flown(truth, record, jpeg.tobytes())


def told_attitude(shot: Shot) -> Attitude | None:
    """The attitude that the runtime is told with a shot, None where nothing is: see `Shot.misled_deg`."""
    if shot.misled_deg is None:
        return None
    turn = cv2.Rodrigues(np.array([0.0, 0.0, np.radians(shot.misled_deg)]))[0]
    return Attitude(quat_wxyz(shot.ecef_from_cam @ np.asarray(turn, np.float64)), ATTITUDE_SIGMA_RAD)


def measured_vertical(shot: Shot, sigma_rad: float | None) -> Vertical | None:
    """The vertical of a shot as a sensor tells it that errs by so much about each axis; None where there is none."""
    if sigma_rad is None:
        return None
    error_rad = np.random.default_rng((shot.seed, 4, shot.index)).normal(0.0, sigma_rad, 3)
    down_cam = shot.ecef_from_cam.T @ ecef_from_ned(shot.lat_deg, shot.lon_deg)[:, 2]
    x, y, z = (np.asarray(cv2.Rodrigues(error_rad)[0]) @ down_cam).tolist()
    return Vertical((x, y, z), sigma_rad)


def fly(packed_plan: bytes, shot: Shot) -> Flown:
    """`Station.fly` in whatever process this is; the station is set up at the first shot and kept."""
    return _station(packed_plan).fly(shot)


@lru_cache(maxsize=1)
def _station(packed_plan: bytes) -> Station:
    return Station(pickle.loads(zlib.decompress(packed_plan)))
