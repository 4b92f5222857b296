"""The cell table: places that tile a latitude band, each with the global code of the map around it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.errors import PackError
from onboard.geodesy import EARTH_RADIUS_M, Array


class Ranking(NamedTuple):
    """Cells, best first: indices (top,) int64, similarity (top,) float32 (cosine), code (top,) int64: which of the
    codes asked matched best, that is the move and the heading of `onboard.encoder.frame_codes`."""

    indices: NDArray[np.int64]
    similarity: NDArray[np.float32]
    code: NDArray[np.int64]


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

    def rank(self, codes: NDArray[np.float32], top: int) -> Ranking:
        """The ``top`` cells most like any of the codes, (dim,) or (K, dim) of unit length; fewer in a small table."""
        queries = np.atleast_2d(codes).astype(np.float32) * np.float32(self.scale)
        similarity = self.codes.astype(np.float32) @ queries.T
        code = similarity.argmax(axis=1)
        best = similarity[np.arange(len(self)), code]
        top = min(top, len(self))
        chosen = np.argpartition(-best, top - 1)[:top] if 0 < top < len(self) else np.arange(top)
        chosen = chosen[np.argsort(-best[chosen], kind="stable")]
        return Ranking(chosen, best[chosen], code[chosen])

    def arrays(self) -> dict[str, NDArray]:
        """The table as named arrays, for storage."""
        scalars = np.array([self.scale, self.spacing_m], np.float64)
        return {"lat_deg": self.lat_deg, "lon_deg": self.lon_deg, "codes": self.codes, "scale_and_spacing_m": scalars}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray]) -> "CellTable":
        """Inverse of `arrays`; raises PackError when they do not fit together."""
        try:
            lat, lon, codes = arrays["lat_deg"], arrays["lon_deg"], arrays["codes"]
            scale, spacing_m = (float(value) for value in arrays["scale_and_spacing_m"])
        except (KeyError, ValueError, TypeError) as error:
            raise PackError(f"cell table: {error} is missing or malformed; rebuild the pack") from error
        fits = lat.ndim == 1 and lat.shape == lon.shape and codes.ndim == 2 and len(codes) == len(lat)
        if not fits or codes.dtype != np.int8 or not (np.isfinite(scale) and scale > 0 and spacing_m > 0):
            raise PackError("cell table: its arrays do not fit together; rebuild the pack")
        return cls(lat, lon, codes, scale, spacing_m)


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
