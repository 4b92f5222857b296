"""The mosaic as a camera samples it: every pixel averaged over its own footprint, near and far."""

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array
from sim.view import View


class Mosaic(Protocol):
    """What the simulator needs of a raster (service ``mosaic`` of onboard.plugins)."""

    @property
    def gsd_m(self) -> float: ...

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]: ...


def sample_footprints(mosaic: Mosaic, view: View) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Colours (H, W, 3) and coverage (H, W) of what a view sees, each averaged over its footprint.

    The raster's overviews make a pyramid; a footprint between two levels blends them (trilinear, Williams 1983).
    """
    grid = view.grid
    shape = grid.height, grid.width
    if not view.seen.any():
        return np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool)
    with np.errstate(invalid="ignore"):
        level = np.maximum(np.log2(view.footprint_m / np.float32(mosaic.gsd_m)), 0)
    lat, lon = view.places_deg
    lowest, highest = int(np.nanmin(level)), int(np.nanmax(level))
    if np.nanmax(level) == 0:
        return mosaic.sample(lat, lon, float(np.nanmin(view.footprint_m)))

    colours = np.zeros((*shape, 3), np.float32)
    weights = np.zeros(shape, np.float32)
    for k in range(lowest, highest + 2):
        weight = grid.at_pixels(np.nan_to_num(np.clip(1 - np.abs(level - np.float32(k)), 0, 1)))
        wanted = weight > 0
        if not wanted.any():
            continue
        rows, columns = _bounds(wanted)
        part, some = np.s_[rows, columns], wanted[rows, columns]
        rgb, inside = mosaic.sample(np.where(some, lat[part], np.nan), lon[part], mosaic.gsd_m * 2.0**k)
        share = weight[part] * inside
        colours[part] += rgb * share[..., None]
        weights[part] += share
    colours /= np.maximum(weights, np.float32(1e-6))[..., None]
    return cv2.convertScaleAbs(colours), weights > np.float32(0.5)


def _bounds(wanted: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns that hold every True."""
    rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
