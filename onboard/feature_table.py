"""Features of a frame hashed by place and orientation, so that landmarks find those that may be theirs at once."""

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array
from onboard.matches import View

# A feature is entered into every row and sector whose landmarks may reach it, so that each landmark finds all of its
# features in one run of the table. Narrower ones would make the table longer and the runs little shorter.
_SECTOR_DEG = 10.0
_ROWS_A_REACH = 2
_COLUMNS_A_REACH = 8


class FeatureTable:
    """The features of one view, for landmarks within ``reach_m`` metres of its ground and ``turn_deg`` degrees.

    Rows and columns are strips of the ground, sectors of orientations; features lie sector by sector, row by row,
    column by column.
    """

    def __init__(self, view: View, reach_m: float, turn_deg: float) -> None:
        self._row_m, self._column_m = reach_m / _ROWS_A_REACH, reach_m / _COLUMNS_A_REACH
        self._low_m = view.ground_m.min(axis=0) - 2 * reach_m
        span_m = view.ground_m.max(axis=0) + 2 * reach_m - self._low_m
        self._columns, self._rows = int(span_m[0] / self._column_m) + 1, int(span_m[1] / self._row_m) + 1
        self._sectors = int(360 // _SECTOR_DEG)
        x_m, y_m = (view.ground_m - self._low_m).T
        row = np.floor((y_m + reach_m) / self._row_m)[:, None] - np.arange(2 * _ROWS_A_REACH + 1)
        sector = np.floor((view.features.angle_deg.astype(np.float64) + turn_deg) / _SECTOR_DEG)[:, None]
        sector = (sector - np.arange(np.ceil(2 * turn_deg / _SECTOR_DEG) + 1)) % self._sectors
        strip = (sector[:, :, None] * self._rows + row[:, None, :]).reshape(len(view), -1)
        key = (strip * self._columns + np.floor(x_m / self._column_m)[:, None]).astype(np.int64)
        count = self._sectors * self._rows * self._columns
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(key.ravel(), minlength=count))])
        self._feature = np.sort((key * len(view) + np.arange(len(view))[:, None]).ravel()) % len(view)

    def near(self, offsets: Array, angle_deg: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All pairs (feature, landmark) that may lie within reach, and some that do not, in order of landmark.

        offsets (K, 2), metres; angle_deg (K,) in [0, 360): landmarks within ``reach_m`` of the view's extent.
        """
        column, row = (offsets - self._low_m).T
        sector = np.minimum((angle_deg / _SECTOR_DEG).astype(np.int64), self._sectors - 1)
        strip = sector * self._rows + (row / self._row_m).astype(np.int64)
        at = strip * self._columns + (column / self._column_m).astype(np.int64)
        start = self._starts[at - _COLUMNS_A_REACH]
        length = self._starts[at + _COLUMNS_A_REACH + 1] - start
        first = np.cumsum(length) - length
        landmark = np.repeat(np.arange(len(at)), length)
        return self._feature[np.arange(len(landmark)) + (start - first)[landmark]], landmark
