"""Cells of a mosaic: the map around every place of the band, encoded once on the ground.

Registered as the service ``cells`` (onboard/plugins.py), which is how `export` measures a network's recall.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from index_builder.tiles import WATER_RGB, is_land
from onboard.cells import CellTable, tile_band
from onboard.encoder import Encoder, grey_view, luminance
from onboard.errors import MosaicError
from onboard.geodesy import EARTH_RADIUS_M, Array, destination

Float = NDArray  # float32; OpenCV's stubs promise less

# Cells with less land than this in view are left out: a frame there is featureless.
MIN_LAND = 0.05
# Pixels read per pixel of the view, as in training, so that the map is equally sharp.
OVERSAMPLE = 4 / 3
# Latitudes read at once: bounds the memory, whatever the mosaic.
STRIP_DEG = 8.0
BATCH = 64

GREY, LAND, VALID = 0, 1, 2


class Raster(Protocol):
    """What is needed of a mosaic."""

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]: ...


def build_cells(
    mosaic: Raster,
    encoder: Encoder,
    band_deg: tuple[float, float],
    spacing_m: float,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> CellTable:
    """Encode the map, north up, around every cell of the band that has land in view.

    progress(done, of) is called after every batch. Raises MosaicError when the band holds no land of the mosaic.
    """
    lat_deg, lon_deg = tile_band(band_deg, spacing_m)
    kept: list[int] = []
    codes: list[Float] = []
    pending: list[Float] = []
    for index, view in _map_views(mosaic, encoder, lat_deg, lon_deg):
        if view is not None:
            kept.append(index)
            pending.append(view)
        if len(pending) == BATCH or (pending and index == len(lat_deg) - 1):
            codes.append(encoder.encode(np.stack(pending)))
            pending.clear()
        if index % BATCH == 0 or index == len(lat_deg) - 1:
            progress(index + 1, len(lat_deg))
    if not kept:
        raise MosaicError(f"the mosaic shows no land between {band_deg[0]:g} and {band_deg[1]:g} degrees of latitude")
    return CellTable.quantized(lat_deg[kept], lon_deg[kept], np.concatenate(codes), spacing_m)


def _map_views(mosaic: Raster, encoder: Encoder, lat_deg: Array, lon_deg: Array) -> Iterator[tuple[int, Float | None]]:
    """Index and view (1, size, size) of every cell, in order; None where there is no land or no data in view."""
    pixels = round(encoder.size * OVERSAMPLE)
    gsd_m = encoder.span_m / pixels
    middle = (pixels - 1) / 2
    # Along a row of cells only the longitude changes: the geometry is computed once.
    starts = np.flatnonzero(np.diff(lat_deg, prepend=np.nan) != 0).tolist()
    strip: _Strip | None = None
    for start, stop in zip(starts, [*starts[1:], len(lat_deg)]):
        row_lat, row_lon = _grid(float(lat_deg[start]), 0.0, pixels, gsd_m)
        if strip is None or not strip.holds(row_lat):
            strip = _read_strip(mosaic, float(row_lat.min()), float(row_lat.max()), gsd_m)
        for index in range(start, stop):
            seen = strip.sample(row_lat, row_lon + lon_deg[index])
            enough = seen[..., LAND].mean() >= 255 * MIN_LAND and seen[..., VALID].mean() >= 127
            view = None
            if enough:
                grey, valid = seen[..., GREY].astype(np.float32), seen[..., VALID] > 127
                view = grey_view(grey, valid, gsd_m, (middle, middle), encoder.span_m, encoder.size)
            yield index, view


@dataclass(frozen=True, eq=False)
class _Strip:
    """picture (h, W, 3) uint8: grey, land, valid on an equirectangular grid around the Earth, from north_deg down."""

    picture: NDArray[np.uint8]
    south_deg: float
    north_deg: float
    step_deg: float

    def holds(self, lat_deg: Array) -> bool:
        return self.south_deg <= float(lat_deg.min()) and float(lat_deg.max()) <= self.north_deg

    def sample(self, lat_deg: Array, lon_deg: Array) -> NDArray[np.uint8]:
        """grey, land and valid (H, W, 3) at places (H, W)."""
        x = ((lon_deg + 180.0) % 360.0) / self.step_deg - 0.5
        y = (self.north_deg - lat_deg) / self.step_deg - 0.5
        # Wrapping closes the antimeridian; rows never leave the strip.
        maps = x.astype(np.float32), y.astype(np.float32)
        return cv2.remap(self.picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)  # type: ignore


def _read_strip(mosaic: Raster, south_deg: float, top_deg: float, gsd_m: float) -> _Strip:
    """The strip that begins at a row of cells and goes on northwards for STRIP_DEG more."""
    # A whole number of columns; OpenCV's remap takes 32767 at most.
    columns = min(32000, round(2 * np.pi * EARTH_RADIUS_M / gsd_m))
    step_deg = 360.0 / columns
    north_deg = min(90.0, top_deg + STRIP_DEG) + 2 * step_deg
    rows = int(np.ceil((north_deg - south_deg) / step_deg)) + 2
    lat = np.clip(north_deg - (np.arange(rows) + 0.5) * step_deg, -90, 90)
    lon = (np.arange(columns) + 0.5) * step_deg - 180.0
    lat_grid, lon_grid = np.meshgrid(lat, lon, indexing="ij")
    rgb, valid = mosaic.sample(lat_grid, lon_grid, gsd_m)
    land = is_land(lat_grid, lon_grid)
    rgb[~land] = WATER_RGB
    grey = np.clip(np.rint(luminance(rgb)), 0, 255).astype(np.uint8)
    picture = np.stack([grey, land * np.uint8(255), valid * np.uint8(255)], axis=-1)
    return _Strip(picture, south_deg, north_deg, step_deg)


def _grid(lat_deg: float, lon_deg: float, pixels: int, gsd_m: float) -> tuple[Array, Array]:
    """Places (pixels, pixels) of an azimuthal equidistant picture around a place, north up."""
    at = (np.arange(pixels) - (pixels - 1) / 2) * gsd_m
    right, down = np.meshgrid(at, at)
    return destination(lat_deg, lon_deg, np.degrees(np.arctan2(right, -down)), np.hypot(right, down))
