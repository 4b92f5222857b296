"""Satellite mosaics read by windows and overviews: never loaded whole.

Registered as the service ``mosaic`` (onboard/plugins.py), which is how `sim` and `export` read rasters.
"""

import hashlib
import warnings
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from onboard.errors import MosaicError
from onboard.geodesy import EARTH_RADIUS_M, Array, wrap_lon_deg

METRES_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_M


class Mosaic:
    """One or more georeferenced rasters seen as one picture in latitude and longitude (WGS84).

    Files in another projection are warped on the fly; where files overlap the first one wins.
    Raises MosaicError for files that cannot be read, have no georeference, or have not 1, 3 or 4 byte bands.
    """

    def __init__(self, *paths: str | Path) -> None:
        if not paths:
            raise MosaicError("no mosaic given: name at least one georeferenced raster")
        self.paths = tuple(Path(path) for path in paths)
        self._layers = [_Layer(path) for path in self.paths]

    def __reduce__(self) -> tuple:
        return Mosaic, self.paths  # workers open their own handles

    @property
    def gsd_m(self) -> float:
        """Ground sampling distance of the finest file, metres along the meridian."""
        return min(layer.step_deg for layer in self._layers) * METRES_PER_DEGREE

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Colours of an image grid of places, anti-aliased to ``gsd_m``.

        lat_deg, lon_deg: (H, W), NaN where there is no place (limb). Returns RGB uint8 (H, W, 3) and a bool
        (H, W) that is False where no file covers the place (RGB is 0 there).
        """
        rgb = np.zeros((*lat_deg.shape, 3), np.uint8)
        valid = np.zeros(lat_deg.shape, bool)
        for layer in self._layers:
            if valid.all():
                break
            layer_rgb, layer_valid = layer.sample(lat_deg, lon_deg, gsd_m)
            new = layer_valid & ~valid
            rgb[new] = layer_rgb[new]
            valid |= new
        return rgb, valid

    def provenance(self) -> list[dict[str, object]]:
        """Name, size and SHA-256 of every file, for the manifest."""
        entries: list[dict[str, object]] = []
        for path in self.paths:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256") if hasattr(hashlib, "file_digest") else None
                if digest is None:  # Python 3.10
                    digest = hashlib.sha256()
                    for block in iter(lambda: stream.read(1 << 20), b""):
                        digest.update(block)
            entries.append({"file": path.name, "bytes": path.stat().st_size, "sha256": digest.hexdigest()})
        return entries


class _Layer:
    """One file as an EPSG:4326 raster, north up."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise MosaicError(f"{path}: no such file")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)  # refused below, in our own words
                dataset = rasterio.open(path)
        except RasterioError as error:
            raise MosaicError(f"{path}: not a raster that GDAL can read ({error})") from error
        if dataset.crs is None or dataset.transform.is_identity:
            raise MosaicError(
                f"{path}: has no georeference; if you know its bounds, run "
                f"'nadir index georeference {path} --bounds WEST SOUTH EAST NORTH --out OUT.tif'"
            )
        if dataset.count not in (1, 3, 4) or dataset.dtypes[0] != "uint8":
            raise MosaicError(
                f"{path}: has {dataset.count} bands of {dataset.dtypes[0]}; 1, 3 or 4 (RGBA) bands of uint8 are needed"
            )
        north_up = dataset.crs.is_geographic and dataset.transform.b == 0 and dataset.transform.e < 0
        self.raster = dataset if north_up else WarpedVRT(dataset, crs="EPSG:4326", resampling=Resampling.bilinear)
        transform = self.raster.transform
        self.step_x_deg, self.step_deg = transform.a, -transform.e
        self.west_deg, self.north_deg = transform.c, transform.f
        # A raster that closes on itself wraps; elsewhere its edges are edges.
        self.wraps = abs(self.raster.width * self.step_x_deg - 360.0) < self.step_x_deg / 2

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        rgb = np.zeros((*lat_deg.shape, 3), np.uint8)
        nothing = rgb, np.zeros(lat_deg.shape, bool)
        seen = np.isfinite(lat_deg) & np.isfinite(lon_deg)
        if not seen.any():
            return nothing
        # Longitudes as offsets from one of the places, so that a patch over the antimeridian stays in one piece.
        pivot = float(lon_deg[seen][seen.sum() // 2])
        lon = pivot + wrap_lon_deg(lon_deg - pivot)
        if not self.wraps:
            lon = self.west_deg + (lon - self.west_deg) % 360.0
        x = (lon - self.west_deg) / self.step_x_deg - 0.5
        y = (self.north_deg - lat_deg) / self.step_deg - 0.5
        valid = seen & (y >= -0.5) & (y <= self.raster.height - 0.5)
        if not self.wraps:
            valid &= (x >= -0.5) & (x <= self.raster.width - 0.5)
        if not valid.any():
            return nothing

        factor = 2 ** max(0, int(np.floor(np.log2(gsd_m / (self.step_deg * METRES_PER_DEGREE)) + 0.01)))
        x0 = int(np.floor(x[valid].min() / factor) - 1) * factor
        y0 = max(0, int(np.floor(y[valid].min() / factor) - 1) * factor)
        x1 = int(np.ceil(x[valid].max() / factor) + 2) * factor
        y1 = min(self.raster.height, int(np.ceil(y[valid].max() / factor) + 2) * factor)
        picture = self._read(x0, y0, x1, y1, factor)
        map_x = np.where(valid, (x - x0 + 0.5) / factor - 0.5, -1).astype(np.float32)
        map_y = np.where(valid, (y - y0 + 0.5) / factor - 0.5, -1).astype(np.float32)
        rgb = remap_large(picture, map_x, map_y)
        rgb[~valid] = 0
        return rgb, valid

    def _read(self, x0: int, y0: int, x1: int, y1: int, factor: int) -> NDArray[np.uint8]:
        """Columns x0..x1 (wrapping) and rows y0..y1 reduced by ``factor``, RGB (h, w, 3)."""
        width = self.raster.width
        if not self.wraps:
            x0_in, x1_in = max(0, x0), min(width, x1)
            part = self._read_inside(x0_in, y0, x1_in, y1, factor)
            left = round((x0_in - x0) / factor)
            right = max(0, round((x1 - x0) / factor) - left - part.shape[1])
            return np.pad(part, ((0, 0), (left, right), (0, 0)), mode="edge")
        parts = []
        at = x0
        while at < x1:
            start = at % width
            stop = min(width, start + x1 - at)
            parts.append(self._read_inside(start, y0, stop, y1, factor))
            at += stop - start
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _read_inside(self, x0: int, y0: int, x1: int, y1: int, factor: int) -> NDArray[np.uint8]:
        window = Window(x0, y0, x1 - x0, y1 - y0)
        shape = (max(1, -(-(y1 - y0) // factor)), max(1, -(-(x1 - x0) // factor)))
        bands = [1, 1, 1] if self.raster.count == 1 else [1, 2, 3]
        try:
            data = self.raster.read(bands, window=window, out_shape=(3, *shape), resampling=Resampling.average)
        except RasterioError as error:
            raise MosaicError(f"{self.raster.name}: damaged near column {x0}, row {y0} ({error})") from error
        return np.moveaxis(data, 0, -1)


def remap_large(picture: NDArray[np.uint8], map_x: NDArray, map_y: NDArray) -> NDArray[np.uint8]:
    """cv2.remap for pictures beyond its 32767-pixel limit, by halving; bilinear, edges repeated."""
    picture = np.ascontiguousarray(picture)
    limit = 32000
    if max(picture.shape[:2]) <= limit:
        return cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    axis = int(np.argmax(picture.shape[:2]))
    half = picture.shape[axis] // 2
    low = picture[: half + 2] if axis == 0 else picture[:, : half + 2]
    high = picture[half:] if axis == 0 else picture[:, half:]
    coordinate = map_y if axis == 0 else map_x
    shifted = coordinate - half
    first = remap_large(low, map_x, map_y)
    second = remap_large(high, *((map_x, shifted) if axis == 0 else (shifted, map_y)))
    return np.where((coordinate < half)[..., None], first, second)
