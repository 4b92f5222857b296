"""Guided matching: under a right placement landmarks are recognised, under a wrong one they are not."""

from pathlib import Path

import numpy as np
import pytest

from onboard import Localizer
from onboard.geodesy import unit_from_latlon
from onboard.guided import _AROUND_PX, Guide, _peak_px, mutual
from onboard.matches import View
from onboard.placement import Placement
from tests.look import view_from_700km

LAT, LON, HEADING = 35.0, 40.0, 70.0
TRUTH = Placement(unit_from_latlon(LAT, LON), HEADING)


@pytest.fixture(scope="module")
def view(localizer: Localizer, blue_marble: Path) -> View:
    return view_from_700km(localizer, blue_marble, LAT, LON, HEADING)


def test_mutual_is_best_of_row_and_column() -> None:
    likeness = np.array([[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.3, 0.2, 0.5]], np.float32)
    assert mutual(likeness).tolist() == [True, False, True]
    assert mutual(np.empty((0, 0), np.float32)).tolist() == []


@pytest.mark.parametrize("top", [(0.0, 0.0), (0.7, -1.1), (-1.4, 0.2)])
def test_the_peak_of_a_paraboloid_is_found(top: tuple[float, float]) -> None:
    off = _AROUND_PX - top
    likeness = (0.9 - off**2 @ [0.02, 0.05]).astype(np.float32)
    np.testing.assert_allclose(_peak_px(likeness[:, None]), [top], atol=1e-4)


def test_a_peak_outside_is_taken_at_the_edge() -> None:
    rising = (_AROUND_PX @ [0.1, -0.1]).astype(np.float32)  # no top at all: a slope
    np.testing.assert_allclose(_peak_px(rising[:, None]), [[1.5, -1.5]])
    hollow = (_AROUND_PX**2 @ [0.1, 0.1] + _AROUND_PX @ [0.01, 0.0]).astype(np.float32)
    np.testing.assert_allclose(_peak_px(hollow[:, None]), [[1.5, 0.0]])


def share_recognised(guide: Guide, view: View, placement: Placement) -> float:
    expected = guide.expected(view, placement, 0j, float(np.abs(view.corners).max()))
    assert len(expected) > 200 and view.shows(expected.xy).all()
    return float(guide.recognised(view, expected).mean())


def test_landmarks_are_recognised_where_they_are_and_nowhere_else(guide: Guide, view: View) -> None:
    assert share_recognised(guide, view, TRUTH) > 0.5
    aside = TRUTH.moved(1.0, (40 + 30j) * view.gsd_m)
    turned = TRUTH.moved(np.exp(1j * np.radians(40)), 0)
    elsewhere = Placement(unit_from_latlon(30.0, 100.0), HEADING)
    for wrong in (aside, turned, elsewhere):
        assert share_recognised(guide, view, wrong) < 0.05


def test_only_the_circle_asked_for_is_expected(guide: Guide, view: View) -> None:
    middle, radius_m = (50 - 20j) * view.gsd_m, 60 * view.gsd_m
    expected = guide.expected(view, TRUTH, middle, radius_m)
    everywhere = guide.expected(view, TRUTH, 0j, float(np.abs(view.corners).max()))
    inside = everywhere[np.abs(everywhere.ground - middle) < radius_m]
    assert 10 < len(expected) < len(everywhere) / 2
    np.testing.assert_array_equal(expected.numbers, inside.numbers)


def test_landmarks_are_located_between_the_pixels(guide: Guide, view: View) -> None:
    """A placement wrong by a pixel: each landmark says so, and where it belongs."""
    wrong_px = 0.8 - 0.6j
    shifted = TRUTH.moved(1.0, -wrong_px * view.gsd_m)
    right, wrong = (guide.expected(view, one, 0j, 100 * view.gsd_m) for one in (TRUTH, shifted))
    assert len(right) > 50
    (known, off_px, likeness), (known_too, off_px_too, _) = (guide.located(view, one) for one in (right, wrong))
    assert known.mean() > 0.7 and likeness[known].mean() > likeness[~known].mean()
    moved = np.median(off_px_too[known_too], axis=0) - np.median(off_px[known], axis=0)
    np.testing.assert_allclose(moved, [-wrong_px.real, -wrong_px.imag], atol=0.35)
    none = right[:0]
    assert [len(part) for part in guide.located(view, none)] == [0, 0, 0]
