"""Decoded blocks of a raster at reduced resolution, kept while they are in use: neighbouring frames share them."""

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from onboard.errors import MosaicError

BLOCK_PX = 512
# Enough for two frames of a few megapixels with all their surroundings.
CACHE_BYTES = 96 << 20
# GDAL keeps decoded blocks, too, of its own accord as many as fit into a twentieth of the machine's memory.
GDAL_CACHE_BYTES = 32 << 20

Key = tuple[int, int, int, int]


@dataclass(frozen=True)
class Level:
    """A raster with so many rows and so many columns averaged into one, read from its overviews."""

    raster: DatasetReader | WarpedVRT
    row_reduction: int
    column_reduction: int

    @property
    def height(self) -> int:
        return -(-self.raster.height // self.row_reduction)

    @property
    def width(self) -> int:
        return -(-self.raster.width // self.column_reduction)

    @property
    def channels(self) -> int:
        """Red, green and blue, and a fourth that tells where there is data if the raster has holes."""
        return 3 if raster_is_whole(self.raster) else 4

    def read(self, x0: int, y0: int, x1: int, y1: int) -> NDArray[np.uint8]:
        """Columns x0..x1 and rows y0..y1 of the level, RGB (h, w, 3), or with a fourth channel that is 255 where there
        is data (h, w, 4). Raises MosaicError for damaged data."""
        raster = self.raster
        # Where the reduction does not divide the raster, the level is stretched by less than one of its pixels.
        column, row = raster.width / self.width, raster.height / self.height
        window = Window(x0 * column, y0 * row, (x1 - x0) * column, (y1 - y0) * row)
        colours, size = [1, 1, 1] if raster.count <= 2 else [1, 2, 3], (y1 - y0, x1 - x0)
        try:
            with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
                data = raster.read(colours, window=window, out_shape=(3, *size), resampling=Resampling.average)
                if self.channels == 4:
                    held = raster.dataset_mask(window=window, out_shape=size, resampling=Resampling.average)
                    data = np.concatenate([data, held[None]])
        except RasterioError as error:
            raise MosaicError(
                f"{raster.name}: damaged near column {round(window.col_off)}, row {round(window.row_off)} ({error})"
            ) from error
        return cv2.merge(list(data)).astype(np.uint8, copy=False)


def raster_is_whole(raster: DatasetReader | WarpedVRT) -> bool:
    """Whether every pixel holds data: no nodata value, alpha band or mask says otherwise."""
    return all(MaskFlags.all_valid in flags for flags in raster.mask_flag_enums)


class RasterBlocks:
    """Windows of one raster's levels, put together from blocks of which the last used ones stay decoded."""

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._cache_bytes = cache_bytes
        self._blocks: OrderedDict[Key, NDArray[np.uint8]] = OrderedDict()
        self.cached_bytes = 0

    def window(self, level: Level, x0: int, y0: int, x1: int, y1: int) -> NDArray[np.uint8]:
        """Columns x0..x1 (any integers: the level repeats itself) and rows y0..y1 (inside it), as `Level.read`."""
        window = np.empty((y1 - y0, x1 - x0, level.channels), np.uint8)
        for row in range(y0 // BLOCK_PX, -(-y1 // BLOCK_PX)):
            top, bottom = max(y0, row * BLOCK_PX), min(y1, (row + 1) * BLOCK_PX)
            left = x0
            while left < x1:
                turn, at = divmod(left, level.width)
                column = at // BLOCK_PX
                right = min(x1, turn * level.width + min(level.width, (column + 1) * BLOCK_PX))
                block = self._block(level, column, row)
                inside = slice(at - column * BLOCK_PX, at - column * BLOCK_PX + right - left)
                window[top - y0 : bottom - y0, left - x0 : right - x0] = block[
                    top - row * BLOCK_PX : bottom - row * BLOCK_PX, inside
                ]
                left = right
        return window

    def _block(self, level: Level, column: int, row: int) -> NDArray[np.uint8]:
        key = level.row_reduction, level.column_reduction, column, row
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
            return block
        x, y = column * BLOCK_PX, row * BLOCK_PX
        block = level.read(x, y, min(level.width, x + BLOCK_PX), min(level.height, y + BLOCK_PX))
        self._blocks[key] = block
        self.cached_bytes += block.nbytes
        while self.cached_bytes > self._cache_bytes and len(self._blocks) > 1:
            self.cached_bytes -= self._blocks.popitem(last=False)[1].nbytes
        return block
