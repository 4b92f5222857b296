"""The cell table: places that tile a latitude band, each with the global code of the map around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array


@dataclass(frozen=True, eq=False)
class CellTable:
    """lat_deg, lon_deg (N,) float32 of the centres; codes (N, dim) int8, times ``scale`` about of unit length;
    spacing_m: side of a cell."""

    lat_deg: NDArray[np.float32]
    lon_deg: NDArray[np.float32]
    codes: NDArray[np.int8]
    scale: float
    spacing_m: float

    @classmethod
    def quantized(cls, lat_deg: NDArray, lon_deg: NDArray, codes: NDArray[np.float32], spacing_m: float) -> "CellTable":
        """A table of unit codes (N, dim) float32, rounded to int8 with one scale for all."""
        scale = float(np.abs(codes).max(initial=1e-6)) / 127
        rounded = np.rint(codes / scale).astype(np.int8)
        return cls(lat_deg.astype(np.float32), lon_deg.astype(np.float32), rounded, scale, spacing_m)

    def __len__(self) -> int:
        return len(self.lat_deg)


def tile_band(band_deg: tuple[float, float], spacing_m: float) -> tuple[Array, Array]:
    """Centres (lat_deg, lon_deg) of cells of equal area, about spacing_m a side, that cover a latitude band.

    Rows of equal height in latitude; along a row as many cells as bring the area nearest to spacing_m squared.
    Every other row is staggered by half a cell, which lowers the largest distance from a place to a centre.
    """
    south, north = band_deg
    rows = max(1, round(np.radians(north - south) * EARTH_RADIUS_M / spacing_m))
    edges = np.radians(np.linspace(south, north, rows + 1))
    lats, lons = [], []
    for row in range(rows):
        area_m2 = 2 * np.pi * EARTH_RADIUS_M**2 * (np.sin(edges[row + 1]) - np.sin(edges[row]))
        count = max(1, round(area_m2 / spacing_m**2))
        lats.append(np.full(count, np.degrees(edges[row : row + 2].mean())))
        lons.append((np.arange(count) + (0.5 if row % 2 else 0.0)) * 360.0 / count - 180.0)
    return np.concatenate(lats), np.concatenate(lons)
