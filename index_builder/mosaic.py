"""Satellite mosaics read by windows and overviews: never loaded whole.

Registered as the service ``mosaic`` (onboard/plugins.py), which is how `sim` and `export` read rasters.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from index_builder.north_up import METRES_PER_DEGREE, check_bands, north_up, open_raster
from index_builder.provenance import files_beside
from index_builder.raster_blocks import Level, RasterBlocks
from onboard.errors import MosaicError
from onboard.geodesy import Array, wrap_lon_deg
from onboard.identity import file_identity

STRIP_PX = 1 << 15  # of a picture at a time: what is computed of them stays in the processor's cache


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
        return Mosaic, tuple(path.absolute() for path in self.paths)  # workers open their own handles

    @property
    def gsd_m(self) -> float:
        """Ground sampling distance of the finest file, metres along the meridian."""
        return min(layer.step_deg for layer in self._layers) * METRES_PER_DEGREE

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Colours of an image grid of places, anti-aliased to ``gsd_m`` along the meridian and along the parallel.

        lat_deg, lon_deg: (H, W), NaN where there is no place (limb). Returns RGB uint8 (H, W, 3) and a bool
        (H, W) that is False where no file covers the place (RGB is 0 there).
        """
        rgb, valid = self._layers[0].sample(lat_deg, lon_deg, gsd_m)
        for layer in self._layers[1:]:
            if valid.all():
                break
            layer_rgb, layer_valid = layer.sample(lat_deg, lon_deg, gsd_m)
            new = layer_valid & ~valid
            rgb[new] = layer_rgb[new]
            valid |= new
        return rgb, valid

    def check_gsd(self, gsd_m: float) -> None:
        """Raise MosaicError naming a file whose pixels are longer than ``gsd_m`` metres."""
        for layer in self._layers:
            if layer.gsd_m > gsd_m:
                raise MosaicError(
                    f"{layer.source.name}: has {layer.gsd_m:.0f} m a pixel, {gsd_m:.0f} is the most; "
                    "raise the mission's gsd_m or bring a finer mosaic"
                )

    def provenance(self) -> list[dict[str, object]]:
        """Name, size and SHA-256 of every file, for the manifest; ``with``: those of what is read with it, if any."""
        entries = []
        for path, layer in zip(self.paths, self._layers):
            beside = [file_identity(other) for other in files_beside(layer.source)]
            entries.append(file_identity(path) | ({"with": beside} if beside else {}))
        return entries

    def stamp(self) -> list[object]:
        """What tells these files from others without reading them, for `json`: names, sizes, times, georeferences."""
        stamp: list[object] = []
        for path, layer in zip(self.paths, self._layers):
            read = [
                (one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in (path, *files_beside(layer.source))
            ]
            source = layer.source
            stamp.append([read, source.crs.to_wkt(), tuple(source.transform), source.width, source.height])
        return stamp


class _Layer:
    """One file as an EPSG:4326 raster, north up."""

    def __init__(self, path: Path) -> None:
        self.source = dataset = open_raster(path)
        if dataset.crs is None or dataset.transform.is_identity:
            raise MosaicError(
                f"{path}: has no georeference; if you know its bounds, run "
                f"'nadir index georeference {path} --bounds WEST SOUTH EAST NORTH --out OUT.tif'"
            )
        if ColorInterp.palette in dataset.colorinterp:
            raise MosaicError(
                f"{path}: holds a palette's numbers, not colours; 'nadir index georeference' writes colours"
            )
        check_bands(dataset)
        self.raster = north_up(dataset)
        self._blocks, self._channels = RasterBlocks(), Level(self.raster, 1, 1).channels
        transform = self.raster.transform
        self.step_x_deg, self.step_deg = transform.a, -transform.e
        self.west_deg, self.north_deg = transform.c, transform.f
        # A raster that closes on itself wraps; elsewhere its edges are edges.
        self.wraps = abs(self.raster.width * self.step_x_deg - 360.0) < self.step_x_deg / 2

    @property
    def gsd_m(self) -> float:
        """The longer side of its largest pixel, metres."""
        south, north = self.north_deg - self.raster.height * self.step_deg, self.north_deg
        widest = 0.0 if south < 0 < north else min(abs(south), abs(north))
        return max(self.step_deg, self.step_x_deg * float(np.cos(np.radians(widest)))) * METRES_PER_DEGREE

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        seen = np.isfinite(lat_deg) & np.isfinite(lon_deg)
        if not seen.any():
            return np.zeros((*lat_deg.shape, 3), np.uint8), seen
        if not seen.all():
            lat_deg = np.where(seen, lat_deg, lat_deg.flat[seen.argmax()])
            lon_deg = np.where(seen, lon_deg, lon_deg.flat[seen.argmax()])
        lon_deg = self._in_one_piece(lon_deg)
        west, east = self.west_deg, self.west_deg + self.raster.width * self.step_x_deg
        south = self.north_deg - self.raster.height * self.step_deg
        if lat_deg.min() < south or lat_deg.max() > self.north_deg:
            seen &= (lat_deg >= south) & (lat_deg <= self.north_deg)
        if not self.wraps and (lon_deg.min() < west or lon_deg.max() > east):
            seen &= (lon_deg >= west) & (lon_deg <= east)

        row_halvings = max(0, _halvings(gsd_m, self.step_deg))
        column_halvings = _halvings(gsd_m, self.step_x_deg)
        zone, zones = _meridian_zones(lat_deg)
        if len(zones) == 1 and seen.all():
            return _held(self._remap(lat_deg, lon_deg, row_halvings, column_halvings + zones[0]), seen)
        rgb = np.zeros((*lat_deg.shape, self._channels), np.uint8)
        for number in zones:
            here = seen & (zone == number)
            if not here.any():
                continue
            part = _bounds(here)
            some = here[part]
            first = some.argmax()
            lat, lon = lat_deg[part], lon_deg[part]
            lat, lon = np.where(some, lat, lat.flat[first]), np.where(some, lon, lon.flat[first])
            colours = self._remap(lat, lon, row_halvings, column_halvings + number)
            np.copyto(rgb[part], colours, where=some[..., None])
        return _held(rgb, seen)

    def _in_one_piece(self, lon_deg: Array) -> Array:
        """Longitudes next to one of themselves, so that a patch over the antimeridian is not torn, and within the
        raster where it has edges."""
        pivot = float(lon_deg.flat[lon_deg.size // 2])
        if lon_deg.max() - lon_deg.min() >= 180.0:
            lon_deg = pivot + wrap_lon_deg(lon_deg - pivot)
        if self.wraps:
            return lon_deg
        lon_deg = lon_deg + ((pivot - self.west_deg) % 360.0 + self.west_deg - pivot)
        if lon_deg.min() < self.west_deg or lon_deg.max() > self.west_deg + 360.0:
            lon_deg = self.west_deg + (lon_deg - self.west_deg) % 360.0
        return lon_deg

    def _remap(self, lat_deg: Array, lon_deg: Array, row_halvings: int, column_halvings: int) -> NDArray[np.uint8]:
        """Colours of places (H, W, 3 or 4, as `Level.read`) from the raster halved so often, to no fewer than four
        columns."""
        most = max(0, (self.raster.width // 4).bit_length() - 1)
        level = Level(self.raster, 1 << row_halvings, 1 << min(max(0, column_halvings), most))
        scale_x, scale_y = level.width / self.raster.width, level.height / self.raster.height
        columns, rows = scale_x / self.step_x_deg, scale_y / self.step_deg  # a degree
        x_origin, y_origin = -self.west_deg * columns - 0.5, self.north_deg * rows - 0.5
        x0 = int(np.floor(lon_deg.min() * columns + x_origin)) - 1
        x1 = int(np.ceil(lon_deg.max() * columns + x_origin)) + 2
        y0 = max(0, int(np.floor(y_origin - lat_deg.max() * rows)) - 1)
        y1 = min(level.height, int(np.ceil(y_origin - lat_deg.min() * rows)) + 2)
        if not self.wraps:
            x0, x1 = max(0, x0), min(level.width, x1)
        picture = self._blocks.window(level, x0, y0, x1, y1)
        colours = np.empty((*lat_deg.shape, self._channels), np.uint8)
        strip = max(1, STRIP_PX // lat_deg.shape[1])
        for top in range(0, len(lat_deg), strip):
            part = slice(top, top + strip)
            map_x = (lon_deg[part] * columns + (x_origin - x0)).astype(np.float32)
            map_y = (lat_deg[part] * -rows + (y_origin - y0)).astype(np.float32)
            colours[part] = remap_large(picture, map_x, map_y)
        return colours


def _held(colours: NDArray[np.uint8], seen: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """RGB, 0 where there is none, and where there is: of those ``seen``, what holds data to the last of its pixels."""
    if colours.shape[2] == 3:
        return colours, seen
    seen = seen & (colours[..., 3] == 255)
    return colours[..., :3] * seen[..., None], seen


def _halvings(gsd_m: float, step_deg: float) -> int:
    """How often pixels of ``step_deg`` can be merged in pairs and stay as fine as ``gsd_m``; negative: never."""
    return int(np.floor(np.log2(gsd_m / (step_deg * METRES_PER_DEGREE)) + 0.01))


def _meridian_zones(lat_deg: Array) -> tuple[NDArray[np.int64] | int, list[int]]:
    """How often the meridians at a place have halved their distance: 0 to 60 degrees of latitude, 1 to 75.5, ... 7
    around a pole; and all the numbers there are. A meridian-aligned raster is so many times too fine there."""

    def zone(cosine: Array) -> NDArray[np.int64]:
        return np.floor(0.01 - np.log2(np.maximum(cosine, 0.006))).astype(np.int64)

    south, north = float(lat_deg.min()), float(lat_deg.max())
    ends = [0.0 if south < 0 < north else min(abs(south), abs(north)), max(abs(south), abs(north))]
    least, most = zone(np.cos(np.radians(ends))).tolist()
    numbers = list(range(least, most + 1))
    return (zone(np.cos(np.radians(lat_deg))) if len(numbers) > 1 else least), numbers


def _bounds(wanted: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns that hold every True."""
    rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def remap_large(picture: NDArray[np.uint8], map_x: NDArray, map_y: NDArray) -> NDArray[np.uint8]:
    """cv2.remap for pictures beyond its 32767-pixel limit, by halving; bilinear, edges repeated."""
    # OpenCV takes a part of a picture by its strides: no strip of places copies it.
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
