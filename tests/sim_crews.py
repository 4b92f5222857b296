"""Runtimes and crews for campaigns that test the machinery: importable by worker processes."""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from sim_worlds import NoOcean, WavyMosaic, small_mission

from onboard.acceptance import Acceptance
from onboard.clock import Clock
from onboard.evidence import Evidence
from onboard.fix import Fix, Status, no_fix
from onboard.geodesy import ecef_from_geodetic
from onboard.pose import Pose
from sim.attitude_sensors import NO_SENSORS
from sim.campaign import run_campaign
from sim.flight_scenario import draw_scenario

FRAMES = 8
WRONG = 3  # the frame on which the runtime errs
TOLD = []  # attitude and vertical, to any runtime of this process


class SerialCrew:
    """Does the work itself, and counts it; a KeyboardInterrupt comes before job ``dies_at``."""

    def __init__(self, dies_at=None):
        self.done, self.dies_at = 0, dies_at

    def work(self, function, jobs):
        for job in jobs:
            if self.done == self.dies_at:
                raise KeyboardInterrupt
            self.done += 1
            yield function(job)


class CheatingLocalizer:
    """Knows the truth by the time of the frame: 1 km off in general, 300 km on frame WRONG, nothing at night."""

    def __init__(self, scenario, pause_s=0.0):
        self.shots = {int(shot.time.astype("datetime64[ns]").astype(np.int64)): shot for shot in scenario.shots()}
        self.pause_s = pause_s

    acceptance = Acceptance(anchor=8.0, share=0.1, decay=1.0, exceedances=60, limit=1e-4)

    def examine(self, frame, *, timestamp_ns=None, altitude_m=None, attitude=None, vertical=None):
        TOLD.append((attitude, vertical))
        evidence = Evidence(Clock(None))
        evidence.fix = self._fix(frame, timestamp_ns, altitude_m)
        if evidence.fix.status is Status.FIX:
            pose = Pose(evidence.fix.position_ecef_m, np.eye(3), np.eye(6))
            evidence.recognitions = [SimpleNamespace(pose=pose, weight=20.0, recognised=0)]
        return evidence

    def _fix(self, frame, timestamp_ns, altitude_m):
        assert frame.dtype == np.uint8 and frame.shape == (72, 96, 3)
        value, sigma = altitude_m
        assert value == 600e3 and 1e3 < sigma < 50e3
        time.sleep(self.pause_s)
        shot = self.shots[timestamp_ns]
        if shot.sun_elevation_deg < 0:
            return no_fix(Status.DARK, "night")
        lat = shot.lat_deg + (2.7 if shot.index == WRONG else 0.01)
        position = ecef_from_geodetic(lat, shot.lon_deg, shot.altitude_m)
        return Fix(
            Status.FIX, lat_deg=lat, lon_deg=shot.lon_deg, altitude_m=shot.altitude_m, heading_deg=1.0, sigma_m=1e3,
            position_ecef_m=position, covariance_ecef_m2=np.eye(3) * 1e6, quat_ecef_from_cam_wxyz=np.eye(4)[0],
            false_fix_probability=1e-6, inliers=20, votes=9,
        )  # fmt: skip


class Cheat:
    """Opens a CheatingLocalizer in a worker, on an Earth without the ocean mask, whose seconds are spent elsewhere."""

    def __init__(self, scenario, pause_s=0.0):
        self.scenario, self.pause_s = scenario, pause_s

    def __call__(self):
        import sim.renderer

        sim.renderer.OceanMask = NoOcean
        return CheatingLocalizer(self.scenario, self.pause_s)


def scenario(seed=1, frames=FRAMES):
    return draw_scenario(small_mission(), frames, 400.0, seed, np.datetime64("2026-07-01T10:00:00"), 0.2)


def fly(out: Path, crew=None, flown=None, pause_s=0.0, config=None, keep_frames=False, sensors=NO_SENSORS):
    flown = flown or scenario()
    config = config or {"seed": flown.seed}
    crew = crew or SerialCrew()
    return run_campaign(
        flown, WavyMosaic(), Cheat(flown, pause_s), out, config, crew, keep_frames, sensors
    )  # fmt: skip


if __name__ == "__main__":  # the campaign that a test kills
    import sys

    from sim.crew import LocalCrew

    fly(Path(sys.argv[1]), LocalCrew(2), pause_s=0.4)
