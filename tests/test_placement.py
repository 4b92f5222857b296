"""Placements: moved as they are told to be, and the fit that says how to move them."""

import numpy as np
import pytest

from onboard.geodesy import destination, unit_from_latlon
from onboard.landmarks import Catalogue
from onboard.placement import Placement, fit_similarity

GSD_M = 930.0


def landmarks_around(lat: float, lon: float, rng: np.random.Generator) -> Catalogue:
    """200 landmarks within 250 km."""
    at_lat, at_lon = destination(lat, lon, rng.uniform(0, 360, 200), rng.uniform(0, 250e3, 200))
    none = np.empty(0)
    return Catalogue(
        at_lat, at_lon, rng.uniform(0, 360, 200), np.ones(200), unit_from_latlon(at_lat, at_lon), none, none, none, none
    )


@pytest.mark.parametrize("lat, lon", [(0.0, 10.0), (52.0, -3.0), (-35.0, 179.95), (60.0, -179.9), (84.0, 40.0)])
@pytest.mark.parametrize("turn_deg, scale, shift_m", [(0.0, 1.0, 0), (5.0, 1.03, 20e3 - 15e3j), (-12.0, 0.97, -31e3j)])
def test_a_moved_placement_expects_what_it_is_told(
    lat: float, lon: float, turn_deg: float, scale: float, shift_m: complex, rng: np.random.Generator
) -> None:
    catalogue, numbers = landmarks_around(lat, lon, rng), np.arange(200)
    factor = scale * np.exp(1j * np.radians(turn_deg))
    old = Placement(unit_from_latlon(lat, lon), 77.0, 1.02)
    new = old.moved(factor, shift_m)
    (there, there_deg), (here, here_deg) = (one.expected(catalogue, numbers) for one in (old, new))
    assert np.abs(factor * here + shift_m - there).max() < GSD_M
    np.testing.assert_allclose((here_deg + turn_deg - there_deg + 180) % 360, 180, atol=0.3)
    back = new.moved(1 / factor, -shift_m / factor)
    assert np.abs(back.expected(catalogue, numbers)[0] - there).max() < 0.1 * GSD_M


def test_scale_is_metres_on_the_map_for_a_metre_in_the_frame(rng: np.random.Generator) -> None:
    catalogue, numbers = landmarks_around(20.0, 30.0, rng), np.arange(200)
    unit = unit_from_latlon(20.0, 30.0)
    one, wide = (Placement(unit, 10.0, scale).expected(catalogue, numbers)[0] for scale in (1.0, 1.25))
    np.testing.assert_allclose(wide * 1.25, one)


def test_a_similarity_is_fitted(rng: np.random.Generator) -> None:
    seen = rng.uniform(-1e5, 1e5, 30) + 1j * rng.uniform(-1e5, 1e5, 30)
    factor, shift = 1.04 * np.exp(1j * np.radians(7)), 3e3 - 8e3j
    weight = rng.uniform(0.1, 1, 30)
    expected = factor * seen + shift
    expected[:5] += 5e4
    weight[:5] = 0  # what has no weight has no say
    told = fit_similarity(seen, expected, weight, 0.0)
    np.testing.assert_allclose(told, (factor, shift), atol=1e-6)


def test_few_matches_close_together_turn_nothing() -> None:
    seen = np.array([1e5, 1e5 + 500j])
    expected = np.array([1.02e5, 1.02e5 + 500])  # as if turned by a right angle within half a pixel
    factor, shift = fit_similarity(seen, expected, np.ones(2), 20 * GSD_M)
    assert abs(factor - 1) < 0.01
    assert abs(factor * seen.mean() + shift - expected.mean()) < 1e-6, "their middle still goes where it belongs"
    factor, shift = fit_similarity(seen[:1], expected[:1], np.ones(1), GSD_M)
    assert factor == 1 and shift == pytest.approx(2e3)
