"""Where the ocean is: the 30 arc-second mask of the package global-land-mask (GLOBE), at any scale.

The package's own reader keeps a gigabyte of booleans; this one streams the same file into a pyramid of 180 MB, once for
all processes of a user: it lies in ``~/.cache/nadir`` (or $XDG_CACHE_HOME) and is mapped from there.
"""

import importlib.util
import os
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from onboard.errors import MissingPackageError
from onboard.geodesy import EARTH_RADIUS_M, Array, wrap_lon_deg
from sim.errors import SimError
from sim.view import strips

ROWS, COLUMNS = 21600, 43200
STEP_M = np.pi * EARTH_RADIUS_M / ROWS
REDUCTIONS = (4, 16)  # of the coarser levels
_SHAPES = (
    (ROWS, COLUMNS // 8),
    *((ROWS // k, COLUMNS // k) for k in REDUCTIONS),
)  # of all, one bit a place in the first
_LAYOUT = 1  # of the file; another number, another file


class OceanMask:
    """The share of ocean around a place. Lakes and inland seas (the Caspian too) count as land here."""

    def __init__(self) -> None:
        """An instant; the first time on a machine some seconds. SimError where there is no place for the file."""
        ends = np.cumsum([rows * columns for rows, columns in _SHAPES])
        levels = np.split(np.memmap(_pyramid(), np.uint8, "r"), ends[:-1])
        self._bits, *self._coarse = (level.reshape(shape) for level, shape in zip(levels, _SHAPES))

    def share(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> NDArray[np.float32]:
        """Share of ocean (H, W), 0 to 1, of an image grid of places about ``gsd_m`` apart; 0 where NaN."""
        south, north, west, east = _extremes(lat_deg, lon_deg)
        seen = None if np.isfinite(south) else np.isfinite(lat_deg)
        if seen is not None:
            if not seen.any():
                return np.zeros(lat_deg.shape, np.float32)
            lat_deg = np.where(seen, lat_deg, lat_deg.flat[seen.argmax()])
            lon_deg = np.where(seen, lon_deg, lon_deg.flat[seen.argmax()])
            south, north, west, east = _extremes(lat_deg, lon_deg)
        k = max([1] + [k for k in REDUCTIONS if k * STEP_M <= gsd_m])
        per_degree = ROWS / 180.0 / k
        if east - west >= 180.0:
            pivot = float(lon_deg.flat[lon_deg.size // 2])
            lon_deg = pivot + wrap_lon_deg(lon_deg - pivot)
            south, north, west, east = _extremes(lat_deg, lon_deg)
        x_origin, y_origin = 180.0 * per_degree - 0.5, 90.0 * per_degree - 0.5
        x0, x1 = int(np.floor(west * per_degree + x_origin)) - 1, int(np.ceil(east * per_degree + x_origin)) + 2
        y0 = max(0, int(np.floor(y_origin - north * per_degree)) - 1)
        y1 = min(ROWS // k, int(np.ceil(y_origin - south * per_degree)) + 2)
        picture = self._window(k, y0, y1, x0, x1)
        if seen is None and picture.min() == picture.max():  # far from any coast
            return np.full(lat_deg.shape, picture[0, 0] / np.float32(255), np.float32)
        extra = 1
        while max(picture.shape) > 32000:  # the limit of cv2.remap, met only around a pole
            halved = cv2.resize(picture, None, fx=0.5, fy=1.0, interpolation=cv2.INTER_AREA)
            picture = halved.astype(np.uint8, copy=False)
            extra *= 2
        filled = picture * np.float32(1 / 255)
        share = np.empty(lat_deg.shape, np.float32)
        for rows in strips(*lat_deg.shape):
            map_x = (lon_deg[rows] * (per_degree / extra) + ((x_origin + 0.5 - x0) / extra - 0.5)).astype(np.float32)
            map_y = (lat_deg[rows] * -per_degree + (y_origin - y0)).astype(np.float32)
            share[rows] = cv2.remap(filled, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if seen is not None:
            share[~seen] = 0
        return share

    def _window(self, k: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        """Rows y0..y1 and columns x0..x1 (wrapping) of the level reduced k times, 0 to 255."""
        width = COLUMNS // k
        parts, at = [], x0
        while at < x1:
            start = at % width
            stop = min(width, start + x1 - at)
            if k == 1:
                first = start // 8
                unpacked = np.unpackbits(self._bits[y0:y1, first : -(-stop // 8)], axis=1)
                parts.append(unpacked[:, start - 8 * first : stop - 8 * first] * np.uint8(255))
            else:
                parts.append(self._coarse[REDUCTIONS.index(k)][y0:y1, start:stop])
            at += stop - start
        return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))


def _extremes(lat_deg: Array, lon_deg: Array) -> tuple[float, float, float, float]:
    """South, north, west and east; NaN where any place is."""
    return float(lat_deg.min()), float(lat_deg.max()), float(lon_deg.min()), float(lon_deg.max())


def _mask_file() -> Path:
    # Found, not imported: importing the package loads the gigabyte.
    spec = importlib.util.find_spec("global_land_mask")
    if spec is None or spec.origin is None:
        raise MissingPackageError("the simulator needs global-land-mask: pip install '.[ground]'")
    path = Path(spec.origin).parent / "globe_combined_mask_compressed.npz"
    if not path.exists():
        raise MissingPackageError(f"{path} is missing: reinstall global-land-mask")
    return path


def _pyramid() -> Path:
    """The file that holds the levels one after another, finest first; made where it is missing."""
    package = _mask_file()
    stat = package.stat()
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nadir"
    path = folder / f"ocean_{_LAYOUT}_{stat.st_size}_{stat.st_mtime_ns}.bin"
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix="ocean_", dir=folder) as building:
                part = Path(building) / path.name
                with part.open("wb") as stream:
                    for level in _read_package(package):
                        level.tofile(stream)
                part.replace(path)
        except OSError as error:
            raise SimError(
                f"{folder}: the ocean mask cannot be kept there ({error}); name a folder with 180 MB to spare in "
                "XDG_CACHE_HOME"
            ) from error
    return path


def _read_package(package: Path) -> list[NDArray[np.uint8]]:
    """The levels, finest first: one bit a place, then shares of 255."""
    bits, *coarse = (np.empty(shape, np.uint8) for shape in _SHAPES)
    band = 240
    with zipfile.ZipFile(package) as archive, archive.open("mask.npy") as stream:
        version = npy.read_magic(stream)
        shape, _, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream)
        if shape != (ROWS, COLUMNS) or dtype != np.bool_:
            raise MissingPackageError(f"global-land-mask holds {shape} {dtype}; this nadir knows version 1.0")
        for row in range(0, ROWS, band):
            part = np.frombuffer(stream.read(band * COLUMNS), np.uint8).reshape(band, COLUMNS)
            bits[row : row + band] = np.packbits(part, axis=1)
            for level, k in zip(coarse, REDUCTIONS):
                level[row // k : (row + band) // k] = cv2.resize(
                    part * 255, (COLUMNS // k, band // k), interpolation=cv2.INTER_AREA
                )
    return [bits, *coarse]
