"""A simulated frame tilted by 25 degrees that nobody said is: a wrong fix, but for the look from the other side."""

from pathlib import Path

import pytest

from onboard import Localizer, Status, default_pack, plugins, recognition
from sim.campaign import told_altitude_m
from sim.ocean import OceanMask
from sim.places import Ground
from sim.subjects import Studio
from tests.bench_oblique import RIGHT_M, error_m, oblique

# One of 49 of `tests.bench_oblique --ways untold --places 100 --seed 401` that are seen at a wrong place first.
SEED, PLACES, TILT_DEG, INDEX = 401, 100, 25.0, 34
SIGMAS = 6.0  # that contradict the telling by more show another side


def test_a_tilt_that_nobody_told_is_no_fix(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    localizer = Localizer(default_pack())
    mosaic = plugins.service("mosaic")(shared / "mosaics" / "blue_marble_summer_30as.tif")
    ground = Ground(mosaic, OceanMask())
    shot = next(shot for shot, _ in oblique(localizer, ground, PLACES, TILT_DEG, SEED) if shot.index == INDEX)
    frame = Studio(localizer.camera, mosaic, ground.sea).observe(shot).frame
    told = told_altitude_m(localizer.mission)

    found = localizer.examine(frame, altitude_m=told)
    assert found.fix.status is Status.NO_MATCH
    assert found.recognitions[0].pose is None and found.recognitions[0].contradiction.sigmas > SIGMAS

    monkeypatch.setattr(recognition, "likelier", lambda scene, expected, measured: (scene, expected, measured))
    deceived = localizer.localize(frame, altitude_m=told)
    assert deceived and error_m(shot, deceived.position_ecef_m) > RIGHT_M
