import numpy as np
import pytest

from onboard.geodesy import unit_from_latlon
from onboard.landmark_grid import LandmarkGrid
from onboard.landmarks import Catalogue


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    rng = np.random.default_rng(4)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, 40_000))).astype(np.float32)
    lon = rng.uniform(-180, 180, 40_000).astype(np.float32)
    lat[:4], lon[:4] = (90, -90, 0, 0), (0, 0, -180, 179.9999)
    nothing = np.zeros(40_000, np.float32)
    codes, sizes = np.zeros((40_000, 1), np.uint8), np.array([40_000], np.uint32)
    coarse, codebook = np.zeros((1, 2), np.float32), np.zeros((2, 16, 1), np.float32)
    unit = unit_from_latlon(lat, lon).astype(np.float32)
    return Catalogue(lat, lon, nothing, nothing, unit, codes, sizes, coarse, codebook)


@pytest.mark.parametrize("radius_rad", [0.001, 0.03, 0.2, 1.7])
@pytest.mark.parametrize("place", [(10, 20), (-50, 179.9), (0, -179.95), (89.5, 30), (-90, 0), (60, -180), (88, 170)])
def test_within_is_what_all_distances_say(catalogue: Catalogue, place: tuple[float, float], radius_rad: float) -> None:
    unit = unit_from_latlon(*place)
    told = LandmarkGrid(catalogue).within(unit, radius_rad)
    asked = np.flatnonzero(catalogue.unit @ unit.astype(np.float32) > np.cos(radius_rad))
    np.testing.assert_array_equal(told, asked)
    assert len(told) or radius_rad < 0.03
