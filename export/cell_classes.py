"""The land cut into classes, and classes into groups of which none holds neighbours (Berton et al., CVPR 2022).

Two views across the border of neighbouring cells look alike but would be of different classes; in a group every two
cells are ``stride - 1`` cells apart, so that a classification within a group never asks to tell them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.scenes import Scenes
from onboard.geodesy import EARTH_RADIUS_M, Array


@dataclass(frozen=True, eq=False)
class CellClasses:
    """places (C, 2): latitudes and longitudes of the cells' centres, degrees; group (C,) int64;
    class_of (C,) int64: number of the cell within its group."""

    places: Array
    group: NDArray[np.int64]
    class_of: NDArray[np.int64]

    @property
    def sizes(self) -> list[int]:
        """Classes of each group."""
        return np.bincount(self.group).tolist()

    @classmethod
    def tiled(cls, scenes: Scenes, cell_m: float, stride: int) -> "CellClasses":
        """Cells of about cell_m a side over the land that may be trained on, in up to stride² groups; groups of fewer
        than two cells are dropped."""
        south, north = scenes.settings.band_deg
        rows = max(1, round(np.radians(north - south) * EARTH_RADIUS_M / cell_m))
        edges = np.linspace(south, north, rows + 1)
        places, groups = [], []
        for row in range(rows):
            lat = float(edges[row : row + 2].mean())
            # A multiple of the stride, so that the last cell of a row is as far from the first as from any other.
            around = 2 * np.pi * EARTH_RADIUS_M * np.cos(np.radians(lat))
            columns = stride * max(1, round(around / cell_m / stride))
            for column in range(columns):
                place = (lat, (column + 0.5) * 360.0 / columns - 180.0)
                if scenes.allowed(*place):
                    places.append(place)
                    groups.append(row % stride * stride + column % stride)
        numbers = np.array(groups, np.int64)
        keep = np.bincount(numbers, minlength=stride**2)[numbers] > 1 if len(numbers) else np.zeros(0, bool)
        numbers = np.unique(numbers[keep], return_inverse=True)[1].astype(np.int64)
        class_of = np.zeros(len(numbers), np.int64)
        for group in range(numbers.max(initial=-1) + 1):
            members = numbers == group
            class_of[members] = np.arange(members.sum())
        return cls(np.array(places).reshape(-1, 2)[keep], numbers, class_of)
