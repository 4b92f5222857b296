"""Where the ocean is: the 30 arc-second mask of the package global-land-mask (GLOBE), at any scale.

The package's own reader keeps a gigabyte of booleans; this one streams the same file into a pyramid of 160 MB.
"""

import importlib.util
import zipfile
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from onboard.errors import MissingPackageError
from onboard.geodesy import EARTH_RADIUS_M, Array, wrap_lon_deg
from sim.view import strips

ROWS, COLUMNS = 21600, 43200
STEP_M = np.pi * EARTH_RADIUS_M / ROWS
REDUCTIONS = (4, 16)  # of the coarser levels


class OceanMask:
    """The share of ocean around a place. Lakes and inland seas (the Caspian too) count as land here."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read from the package, or, in an instant and shared with whoever else does, from where `save` put it."""
        levels = _read_package() if folder is None else [np.load(path, mmap_mode="r") for path in _files(folder)]
        self._bits, self._coarse = levels[0], levels[1:]

    def save(self, folder: Path) -> None:
        """Write the pyramid into a folder (180 MB), for other processes to map."""
        for level, path in zip([self._bits, *self._coarse], _files(folder)):
            np.save(path, level)

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


@lru_cache(maxsize=1)
def ocean_files() -> TemporaryDirectory:
    """A folder with the mask, for other processes to map; written once in this process and removed with it."""
    folder = TemporaryDirectory(prefix="nadir-ocean-")
    OceanMask().save(Path(folder.name))
    return folder


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


def _files(folder: Path) -> list[Path]:
    return [folder / f"ocean_{k}.npy" for k in (1, *REDUCTIONS)]


def _read_package() -> list[NDArray[np.uint8]]:
    """The levels, finest first: one bit a place, then shares of 255."""
    bits = np.empty((ROWS, COLUMNS // 8), np.uint8)
    coarse = [np.empty((ROWS // k, COLUMNS // k), np.uint8) for k in REDUCTIONS]
    band = 240
    with zipfile.ZipFile(_mask_file()) as archive, archive.open("mask.npy") as stream:
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
