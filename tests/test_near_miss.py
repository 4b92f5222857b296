"""A frame that once got a wrong fix: tilted by 25 degrees and not said to be, the map of its place as seen from it."""

from pathlib import Path

from onboard import Localizer, default_pack, plugins
from sim.campaign import told_altitude_m
from sim.ocean import OceanMask
from sim.places import Ground
from sim.subjects import Studio
from tests.bench_oblique import oblique

# Seed, tilt and number of the shot, of 100 places (docs/results.md, oblique views).
SEED, TILT_DEG, INDEX, PLACES = 401, 25.0, 60, 100
LANDMARKS, SIGMAS = 50, 6.0  # without a look from the other side a fix rests on so many; with it, it is that far off


def test_a_tilt_that_nobody_told_is_no_fix(shared: Path) -> None:
    localizer = Localizer(default_pack())
    mosaic = plugins.service("mosaic")(shared / "mosaics" / "blue_marble_summer_30as.tif")
    ground = Ground(mosaic, OceanMask())
    shots = [shot for shot, _ in oblique(localizer, ground, PLACES, TILT_DEG, SEED) if shot.index == INDEX]
    frame = Studio(localizer.camera, mosaic, ground.sea).observe(shots[0]).frame
    evidence = localizer.examine(frame, altitude_m=told_altitude_m(localizer.mission))
    assert not evidence.fix
    seen = evidence.recognitions[0]
    assert seen.pose is None and seen.recognised > LANDMARKS and seen.contradiction.sigmas > SIGMAS
