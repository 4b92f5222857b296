"""Growth: from around one spot to the whole frame where the place is right, and not where it is wrong."""

from pathlib import Path

import numpy as np
import pytest

from onboard import Localizer
from onboard.geodesy import unit_from_latlon
from onboard.growth import _robust, grown, one_a_square, spread
from onboard.guided import Guide
from onboard.matches import View
from onboard.placement import Placement
from tests.look import view_from_700km

LAT, LON, HEADING = 30.0, 5.0, 200.0
TRUTH = Placement(unit_from_latlon(LAT, LON), HEADING)


@pytest.fixture(scope="module")
def view(localizer: Localizer, blue_marble: Path) -> View:
    return view_from_700km(localizer, blue_marble, LAT, LON, HEADING)


def apart_px(guide: Guide, view: View, one: Placement, other: Placement) -> np.ndarray:
    """How far apart two placements expect the landmarks of the whole frame."""
    numbers = guide.expected(view, TRUTH, 0j, float(np.abs(view.corners).max())).numbers
    grounds = [placement.expected(guide.catalogue, numbers)[0] for placement in (one, other)]
    return np.abs(grounds[0] - grounds[1]) / view.gsd_m


@pytest.mark.parametrize("spot_px, turn_deg", [(0j, 3.0), (50 + 30j, -3.0), (-40 - 55j, 3.0)])
def test_what_holds_around_a_spot_grows_to_the_truth(
    guide: Guide, view: View, spot_px: complex, turn_deg: float
) -> None:
    middle, factor = spot_px * view.gsd_m, np.exp(1j * np.radians(turn_deg))
    start = TRUTH.moved(factor, middle - factor * middle + (1.6 - 1.2j) * view.gsd_m)
    assert apart_px(guide, view, start, TRUTH).max() > 6
    whole, best = grown(guide, view, start, middle), grown(guide, view, TRUTH, 0j)
    assert whole is not None and best is not None
    # Four numbers do not hold all of an ellipsoid: the best of them is off by a pixel at the rim.
    assert apart_px(guide, view, best, TRUTH).max() < 2
    assert apart_px(guide, view, whole, best).max() < 1


def test_a_wrong_place_does_not_grow(guide: Guide, view: View) -> None:
    everything = float(np.abs(view.corners).max())
    right = guide.recognised(view, guide.expected(view, TRUTH, 0j, everything)).sum()
    for lat, lon in ((35.0, 40.0), (36.0, -105.0), (25.0, 78.0)):
        whole = grown(guide, view, Placement(unit_from_latlon(lat, lon), HEADING), 0j)
        if whole is not None:
            assert guide.recognised(view, guide.expected(view, whole, 0j, everything)).sum() < right / 5


def test_the_fit_is_not_led_astray(rng: np.random.Generator) -> None:
    seen = rng.uniform(-1e5, 1e5, 40) + 1j * rng.uniform(-1e5, 1e5, 40)
    truth = 1.01 * np.exp(1j * np.radians(2.0)), 900 - 400j
    expected = truth[0] * seen + truth[1]
    expected[:12] += 8e3 * np.exp(2j * np.pi * rng.random(12))  # a third is wrong by nine pixels
    factor, shift = _robust(seen, expected, np.ones(40), 930.0)
    off_m = np.abs(factor * seen + shift - expected)[12:]
    assert off_m.max() < 0.5 * 930


def test_landmarks_are_spread(guide: Guide, view: View) -> None:
    expected = guide.expected(view, TRUTH, 0j, float(np.abs(view.corners).max()))
    chosen = spread(expected, 70)
    assert 35 < len(chosen) <= 100 and len(np.unique(chosen)) == len(chosen)
    assert len(spread(expected[:20], 70)) == 20
    np.testing.assert_array_equal(one_a_square(np.array([[1, 1], [2, 2], [9, 1], [1, 9], [9.5, 0]]), 8.0), [0, 2, 3])
