"""Which landmarks to keep: the strongest, evenly spread, but for the commonest where there are plenty."""

import numpy as np
from numpy.typing import NDArray

from index_builder.commonness import apart
from index_builder.extraction import Landmarks
from onboard.geodesy import EARTH_RADIUS_M, Array

_COMMON_SHARE = 1 / 9  # of the landmarks evenly spread, that are left out where not all fit
# Cells of this side keep their rarest landmarks, half as many as are in one in the mean: a coast or an island has
# nothing that would replace them (docs/decisions.md).
_CELL_M = 100e3
_KEPT_SHARE = 0.5


def selected(landmarks: Landmarks, count: int, lists: int) -> Landmarks:
    """At most ``count`` landmarks, for so many inverted lists."""
    spread = evenly_spread(landmarks.lat_deg, landmarks.lon_deg, landmarks.response, round(count / (1 - _COMMON_SHARE)))
    landmarks = landmarks[spread]
    if len(landmarks) <= count:
        return landmarks
    rarity = apart(landmarks.descriptors, lists)
    return landmarks[rarest_where_plenty(landmarks.lat_deg, landmarks.lon_deg, rarity, count)]


def rarest_where_plenty(lat_deg: Array, lon_deg: Array, rarity: NDArray, count: int) -> NDArray[np.int64]:
    """Numbers of ``count`` landmarks, half of them or more, in ascending order: all but the least rare of those that
    cells can spare.

    lat_deg, lon_deg, rarity: (N,).
    """
    cell = _cell(lat_deg, lon_deg, _CELL_M)
    occupied = len(np.unique(cell))
    spare = np.flatnonzero(_rank(cell, rarity) >= _KEPT_SHARE * len(cell) / occupied)
    left_out = spare[np.argsort(rarity[spare], kind="stable")[: len(cell) - count]]
    return np.setdiff1d(np.arange(len(cell)), left_out)


def evenly_spread(lat_deg: Array, lon_deg: Array, response: NDArray, count: int) -> NDArray[np.int64]:
    """Numbers of ``count`` landmarks, in ascending order: first the strongest of every cell, then the second
    strongest, and so on. Cells are sized so that ``count`` landmarks are about one a cell.

    lat_deg, lon_deg, response: (N,).
    """
    if len(response) <= count:
        return np.arange(len(response))
    low, high = 1.0, 2e6
    for _ in range(40):  # the cell size at which about `count` cells are occupied, by bisection
        side_m = np.sqrt(low * high)
        occupied = len(np.unique(_cell(lat_deg, lon_deg, side_m)))
        low, high = (side_m, high) if occupied > count else (low, side_m)
    rank = _rank(_cell(lat_deg, lon_deg, high), response)
    return np.sort(np.lexsort((-response, rank))[:count])


def _rank(cell: NDArray[np.int64], worth: NDArray) -> NDArray[np.int64]:
    """How many of the same cell are worth more than each (N,)."""
    order = np.lexsort((-worth, cell))
    first = np.concatenate([[True], cell[order][1:] != cell[order][:-1]])
    rank = np.empty(len(cell), np.int64)
    rank[order] = np.arange(len(cell)) - np.maximum.accumulate(np.where(first, np.arange(len(cell)), 0))
    return rank


def _cell(lat_deg: Array, lon_deg: Array, side_m: float) -> NDArray[np.int64]:
    """The equal-area cell of each place: rows of latitude, columns as wide as rows are high."""
    step_deg = np.degrees(side_m / EARTH_RADIUS_M)
    row = np.floor((lat_deg + 90) / step_deg).astype(np.int64)
    middle = np.clip((row + 0.5) * step_deg - 90, -89.9, 89.9)
    column = np.floor((lon_deg + 180) / 360 * np.maximum(1, np.round(360 * np.cos(np.radians(middle)) / step_deg)))
    return row * 10_000_000 + column.astype(np.int64)
