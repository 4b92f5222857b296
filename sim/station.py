"""One worker's simulator and runtime: a shot goes in, its truth, its fix and its picture come out."""

import pickle
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from onboard.acceptance import Acceptance
from onboard.camera import Camera
from onboard.evidence import Evidence
from onboard.fix import Attitude, Vertical
from sim.attitude_sensors import NO_SENSORS, AttitudeSensors
from sim.errors import SimError
from sim.footprint import outline_lonlat_deg
from sim.judgement import BestPlace, fix_record, truth_record
from sim.record_log import Record
from sim.scenario import Shot
from sim.subjects import Studio
from sim.texture import Mosaic

JPEG_QUALITY = 95


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

    open_localizer: makes the runtime, once a worker; altitude_m: what the runtime is told, value and sigma; sensors:
    what else it is told with every frame.
    """

    camera: Camera
    mosaic: Mosaic
    open_localizer: Callable[[], FrameLocalizer]
    altitude_m: tuple[float, float]
    sensors: AttitudeSensors = NO_SENSORS

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
        self._studio = Studio(plan.camera, plan.mosaic)
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
                frame, timestamp_ns=timestamp_ns, altitude_m=self._plan.altitude_m,
                attitude=self._plan.sensors.attitude(shot), vertical=self._plan.sensors.vertical(shot),
            )  # fmt: skip
            latency_ms = (time.perf_counter() - rendered) * 1e3
        outline = outline_lonlat_deg(self._plan.camera, shot.position_ecef_m, shot.ecef_from_cam)
        truth = truth_record(shot, seen, outline)
        best = BestPlace.of(evidence, self._localizer.acceptance)
        record = fix_record(truth, evidence.fix, latency_ms, (rendered - start) * 1e3, best)
        return Flown(truth, record, jpeg.tobytes())


def fly(packed_plan: bytes, shot: Shot) -> Flown:
    """`Station.fly` in whatever process this is; the station is set up at the first shot and kept."""
    return _station(packed_plan).fly(shot)


@lru_cache(maxsize=1)
def _station(packed_plan: bytes) -> Station:
    return Station(pickle.loads(zlib.decompress(packed_plan)))
