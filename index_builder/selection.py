"""Which landmarks to keep: the strongest, evenly spread, but for the commonest."""

import numpy as np
from numpy.typing import NDArray

from index_builder.commonness import rarest
from index_builder.extraction import Landmarks
from onboard.geodesy import EARTH_RADIUS_M, Array

_COMMON_SHARE = 1 / 9  # of the landmarks evenly spread, that are left out where not all fit


def selected(landmarks: Landmarks, count: int, lists: int) -> Landmarks:
    """At most ``count`` landmarks, for so many inverted lists."""
    spread = evenly_spread(landmarks.lat_deg, landmarks.lon_deg, landmarks.response, round(count / (1 - _COMMON_SHARE)))
    landmarks = landmarks[spread]
    return landmarks if len(landmarks) <= count else landmarks[rarest(landmarks.descriptors, count, lists)]


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
    cell = _cell(lat_deg, lon_deg, high)
    order = np.lexsort((-response, cell))
    first = np.concatenate([[True], cell[order][1:] != cell[order][:-1]])
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    rank = np.arange(len(order)) - start
    chosen = order[np.lexsort((-response[order], rank))][:count]
    return np.sort(chosen)


def _cell(lat_deg: Array, lon_deg: Array, side_m: float) -> NDArray[np.int64]:
    """The equal-area cell of each place: rows of latitude, columns as wide as rows are high."""
    step_deg = np.degrees(side_m / EARTH_RADIUS_M)
    row = np.floor((lat_deg + 90) / step_deg).astype(np.int64)
    middle = np.clip((row + 0.5) * step_deg - 90, -89.9, 89.9)
    column = np.floor((lon_deg + 180) / 360 * np.maximum(1, np.round(360 * np.cos(np.radians(middle)) / step_deg)))
    return row * 10_000_000 + column.astype(np.int64)
