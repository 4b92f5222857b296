"""The mosaic as a camera samples it: every pixel averaged over its own footprint, near and far."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array


class Mosaic(Protocol):
    """What the simulator needs of a raster (service ``mosaic`` of onboard.plugins)."""

    @property
    def gsd_m(self) -> float: ...

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]: ...


def sample_footprints(
    mosaic: Mosaic, lat_deg: Array, lon_deg: Array, footprint_m: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Colours (H, W, 3) float32 0 to 255 and coverage (H, W) of places, each averaged over its footprint.

    The raster's overviews make a pyramid; a footprint between two levels blends them (trilinear, Williams 1983).
    A meridian-aligned raster is too fine along the parallels near a pole: there several samples are averaged.
    """
    colours = np.zeros((*lat_deg.shape, 3), np.float32)
    weights = np.zeros(lat_deg.shape, np.float32)
    with np.errstate(invalid="ignore"):
        level = np.maximum(np.log2(footprint_m / np.float32(mosaic.gsd_m)), 0)
        seen = np.isfinite(lat_deg) & np.isfinite(level)
        cos_lat = np.cos(np.radians(lat_deg))
    if not seen.any():
        return colours, np.zeros(lat_deg.shape, bool)
    below = np.where(seen, np.floor(level), -1).astype(int)
    narrowing = -np.log2(np.maximum(np.where(seen, cos_lat, 1.0), 1e-3))
    finer = np.log2(np.where(seen, footprint_m, np.float32(1)) / np.float32(mosaic.gsd_m))
    for k in range(below[seen].min(), below[seen].max() + 2):
        # Raster columns a footprint spans at this level: 1 up to 60 degrees of latitude, 2 up to 75, ... 16 at a pole.
        copies = np.where(seen, 2 ** np.clip(np.floor(narrowing + finer - k + 0.01), 0, 4), 0).astype(int)
        weight = np.clip(1 - np.abs(level - k), 0, 1)
        for number in (1, 2, 4, 8, 16):
            wanted = (weight > 0) & (copies == number)
            if not wanted.any():
                continue
            rows, columns = _bounds(wanted)
            part = wanted[rows, columns]
            lat = np.where(part, lat_deg[rows, columns], np.nan)
            metres_a_degree = np.maximum(cos_lat[rows, columns], 1e-3) * np.radians(EARTH_RADIUS_M)
            spread_deg = footprint_m[rows, columns] / metres_a_degree
            total = np.zeros((*part.shape, 3), np.float32)
            valid = part.copy()
            for copy in range(number):
                offset_deg = np.clip(((copy + 0.5) / number - 0.5) * spread_deg, -90, 90)
                rgb, inside = mosaic.sample(lat, lon_deg[rows, columns] + offset_deg, mosaic.gsd_m * 2.0**k)
                total += rgb
                valid &= inside
            share = np.where(valid, weight[rows, columns], 0).astype(np.float32)
            colours[rows, columns] += total * (share / number)[..., None]
            weights[rows, columns] += share
    colours /= np.maximum(weights, np.float32(1e-6))[..., None]
    return colours, np.asarray(weights > 0.5)


def _bounds(wanted: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns that hold every True."""
    rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
