"""What landmarks say together: those in a line repeat one another."""

import numpy as np
import pytest

from onboard.corroboration import corroboration, most_in_line
from onboard.geodesy import Array


def along(count: int, turn_deg: float, length_px: float, width_px: float, rng: np.random.Generator) -> Array:
    """Pixels (K, 2) strewn along a line through (200, 150), at most half a width beside it."""
    turn = np.radians(turn_deg)
    way = rng.uniform(-length_px / 2, length_px / 2, count)
    beside = rng.uniform(-width_px / 2, width_px / 2, count)
    direction = np.array([np.cos(turn), np.sin(turn)])
    return (
        np.array([200.0, 150.0]) + way[:, None] * direction + beside[:, None] * np.array([-direction[1], direction[0]])
    )


@pytest.mark.parametrize("turn_deg", [0.0, 37.3, 90.0, 144.9, 179.5])
def test_a_line_counts_a_quarter_however_it_lies(turn_deg: float, rng: np.random.Generator) -> None:
    ridge = along(40, turn_deg, 300.0, 20.0, rng)
    assert most_in_line(ridge) == 40 and corroboration(ridge) == pytest.approx(10.0)


def test_what_lies_beside_it_counts_whole(rng: np.random.Generator) -> None:
    ridge = along(40, 20.0, 300.0, 20.0, rng)
    beside = along(9, 20.0, 300.0, 0.0, rng) + np.array([-np.sin(np.radians(20.0)), np.cos(np.radians(20.0))]) * 60.0
    assert corroboration(np.concatenate([ridge, beside])) == pytest.approx(10.0 + 9.0)


def test_spread_over_a_frame_most_count(rng: np.random.Generator) -> None:
    spread = rng.uniform(0, 400, (200, 2))
    assert 0.8 * 200 < corroboration(spread) < 200
    assert corroboration(spread + 1e4) == pytest.approx(corroboration(spread), abs=2)


def test_nothing_and_one_landmark() -> None:
    assert corroboration(np.empty((0, 2))) == 0
    assert corroboration(np.array([[3.0, 4.0]])) == 0.25
