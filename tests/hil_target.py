"""A target for tests, a process of its own and quick to start: answers from the truth. Prints its address."""

import json
import sys
import time
from pathlib import Path

import numpy as np

from onboard.camera import Camera
from onboard.fix import Fix, Status, no_fix
from onboard.geodesy import ecef_from_geodetic
from onboard.server import Server

WRONG = 3  # the frame on which the runtime errs


class Cheat:
    """Knows the truth by the time of the frame: 1 km off in general, 300 km on frame WRONG, nothing at night."""

    def __init__(self, truth, pause_s):
        records = map(json.loads, truth.read_text().splitlines()) if truth.exists() else ()
        self._truths = {np.datetime64(record["time_utc"].rstrip("Z"), "ns").astype(int): record for record in records}
        self._pause_s = pause_s
        self.camera = Camera(96, 72, 90.0, 90.0, 47.5, 35.5)

    def localize(self, frame, *, timestamp_ns=None, altitude_m=None, deadline_ms=None):
        assert frame.dtype == np.uint8 and frame.shape == (72, 96, 3)
        assert altitude_m[0] == 600e3 and 1e3 < altitude_m[1] < 50e3
        time.sleep(self._pause_s)
        truth = self._truths.get(timestamp_ns)
        if truth is None or truth["sun_elevation_deg"] < 0:
            return no_fix(Status.DARK, "night", timestamp_ns=timestamp_ns)
        lat = truth["lat_deg"] + (2.7 if truth["index"] == WRONG else 0.01)
        position = ecef_from_geodetic(lat, truth["lon_deg"], truth["altitude_m"])
        return Fix(
            Status.FIX, lat_deg=lat, lon_deg=truth["lon_deg"], altitude_m=truth["altitude_m"], heading_deg=1.0,
            sigma_m=1e3, position_ecef_m=position, covariance_ecef_m2=np.eye(3) * 1e6,
            quat_ecef_from_cam_wxyz=np.eye(4)[0], false_fix_probability=1e-6, inliers=20, votes=9,
            timestamp_ns=timestamp_ns, timings_ms={"total": 1e3 * self._pause_s},
        )  # fmt: skip


if __name__ == "__main__":
    bind, pause_s, mission, truth = sys.argv[1:]
    about = {"mission": mission, "pack": {"manifest_sha256": "0" * 64}}
    server = Server(Cheat(Path(truth), float(pause_s)), bind, about)
    print(server.endpoint, flush=True)
    server.run()
