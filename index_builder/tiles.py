"""The latitude band cut into tiles, each read as a local map at the catalogue's GSD with water as water."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from index_builder.mosaic import Mosaic
from onboard.errors import MosaicError
from onboard.geodesy import EARTH_RADIUS_M, Array, azimuth_deg, destination, distance_m, wrap_lon_deg
from onboard.patches import PATCH_PX

# What a camera sees of deep water, in the mosaic's colours: dark, a little blue (Blue Marble paints the sea floor).
WATER_RGB = (10, 20, 40)
_TILE_PX = 600
_MARGIN_PX = 48  # SIFT's neighbourhood at the scales that matter
# Keypoints this near to land see a coast; farther out there is nothing but water.
_COAST_PX = 4
# Places are drawn so many at once, and so often at most: of land that is a millionth of the band some are found.
_DRAWN, _MOST_DRAWS = 2000, 50_000
_GLANCE_M = 30e3


@dataclass(frozen=True)
class Tile:
    """A cell of latitude and longitude; neighbours share no point, together they cover the band."""

    south_deg: float
    north_deg: float
    west_deg: float
    east_deg: float

    @property
    def centre_deg(self) -> tuple[float, float]:
        return (self.south_deg + self.north_deg) / 2, (self.west_deg + self.east_deg) / 2

    def holds(self, lat_deg: Array, lon_deg: Array) -> NDArray[np.bool_]:
        in_lon = (lon_deg - self.west_deg) % 360.0 < self.east_deg - self.west_deg
        return in_lon & (lat_deg >= self.south_deg) & (lat_deg < self.north_deg)


@dataclass(frozen=True, eq=False)
class LocalMap:
    """A picture of the map, azimuthal equidistant around a centre, north up at the centre.

    rgb (H, W, 3) uint8; mask (H, W) bool, where keypoints may lie: well inside the mosaic, and land or coast.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    centre_deg: tuple[float, float]
    gsd_m: float

    def geodetic(self, xy: NDArray) -> tuple[Array, Array, Array]:
        """Latitude, longitude and north's turn of pixels (N, 2).

        The turn is what to add to a direction measured clockwise in the picture to have it relative to north there.
        """
        height, width = self.rgb.shape[:2]
        right, down = (np.asarray(xy, np.float64) - ((width - 1) / 2, (height - 1) / 2)).T * self.gsd_m
        bearing = np.degrees(np.arctan2(right, -down))
        lat, lon = destination(*self.centre_deg, bearing, np.hypot(right, down))
        back = azimuth_deg(lat, lon, *self.centre_deg)
        return lat, lon, np.where(np.hypot(right, down) < 1.0, 0.0, back + 180.0 - bearing)

    def pixels(self, lat_deg: Array, lon_deg: Array) -> Array:
        """Pixels (N, 2) of places; the inverse of `geodetic`."""
        height, width = self.rgb.shape[:2]
        bearing = np.radians(azimuth_deg(*self.centre_deg, lat_deg, lon_deg))
        way_px = distance_m(*self.centre_deg, lat_deg, lon_deg) / self.gsd_m
        offset = np.column_stack([way_px * np.sin(bearing), -way_px * np.cos(bearing)])
        return offset + np.array([width - 1, height - 1]) / 2


def tiles_of(band_deg: tuple[float, float], gsd_m: float) -> list[Tile]:
    """Tiles of about 600 pixels a side that cover a latitude band."""
    south, north = band_deg
    side_deg = np.degrees(_TILE_PX * gsd_m / EARTH_RADIUS_M)
    rows = max(1, round((north - south) / side_deg))
    edges = np.linspace(south, north, rows + 1)
    tiles = []
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist()):
        # The longest parallel decides how many tiles a row needs.
        widest = 0.0 if low < 0 < high else min(abs(low), abs(high))
        columns = max(3, int(np.ceil(360 * np.cos(np.radians(widest)) / side_deg)))
        lons = np.linspace(-180, 180, columns + 1).tolist()
        tiles += [Tile(low, high, west, east) for west, east in itertools.pairwise(lons)]
    return tiles


def read_tile(mosaic: Mosaic, tile: Tile, gsd_m: float) -> LocalMap | None:
    """The local map that covers a tile with a margin; None where it holds no land or no data."""
    lat, lon = tile.centre_deg
    corners_lat = np.array(
        [tile.south_deg, tile.north_deg, tile.south_deg, tile.north_deg, tile.south_deg, tile.north_deg]
    )
    corners_lon = np.array([tile.west_deg] * 2 + [tile.east_deg] * 2 + [lon] * 2)
    reach = _offsets_m(lat, lon, corners_lat, corners_lon)
    half_width, half_height = (int(np.ceil(np.abs(part).max() / gsd_m)) + _MARGIN_PX for part in reach)
    return read_map(mosaic, (lat, lon), gsd_m, half_width, half_height)


def read_map(
    mosaic: Mosaic, centre_deg: tuple[float, float], gsd_m: float, half_width: int, half_height: int
) -> LocalMap | None:
    """The local map of 2·half+1 pixels a side around a place; None where it holds no land or no data."""
    down, right = np.mgrid[-half_height : half_height + 1, -half_width : half_width + 1] * gsd_m
    lat, lon = destination(*centre_deg, np.degrees(np.arctan2(right, -down)), np.hypot(right, down))
    land = is_land(lat, lon)
    if not land.any():
        return None
    rgb, valid = mosaic.sample(lat, lon, gsd_m)
    if not valid.any():
        return None
    rgb[~land] = WATER_RGB
    near_land = cv2.dilate(land.astype(np.uint8), np.ones((2 * _COAST_PX + 1,) * 2, np.uint8)).astype(bool)
    # What ends where the mosaic does is no feature of the ground.
    inside = cv2.erode(valid.astype(np.uint8), np.ones((PATCH_PX + 1,) * 2, np.uint8)).astype(bool)
    return LocalMap(rgb, near_land & inside, centre_deg, gsd_m)


def is_land(lat_deg: Array, lon_deg: Array) -> NDArray[np.bool_]:
    """True on land and inland water, at 30 arc-seconds (GLOBE, by the package global-land-mask)."""
    return _globe().is_land(np.clip(lat_deg, -89.99, 89.99), wrap_lon_deg(lon_deg))


@lru_cache(maxsize=1)
def _globe():  # type: ignore[no-untyped-def]
    from global_land_mask import globe  # a second and a gigabyte to load, so only when it is used

    return globe


def _offsets_m(lat: float, lon: float, lats: Array, lons: Array) -> tuple[Array, Array]:
    way, bearing = distance_m(lat, lon, lats, lons), np.radians(azimuth_deg(lat, lon, lats, lons))
    return way * np.sin(bearing), way * np.cos(bearing)


def land_places(mosaic: Mosaic, count: int, band_deg: tuple[float, float], seed: int) -> Iterator[tuple[float, float]]:
    """Places (latitude, longitude) on land that the mosaic shows, drawn uniformly by area from a band. Raises
    MosaicError where next to nothing of the band is that."""
    rng = np.random.default_rng(seed)
    south, north = np.sin(np.radians(band_deg))
    given = 0
    for _ in range(_MOST_DRAWS):
        sine, lon = rng.uniform([south, -180.0], [north, 180.0], (_DRAWN, 2)).T
        lat = np.degrees(np.arcsin(sine))
        shown = is_land(lat, lon)
        # The coarsest look that tells: one block of an overview holds a continent.
        if shown.any():
            shown[shown] = mosaic.sample(lat[None, shown], lon[None, shown], _GLANCE_M)[1][0]
        for place in zip(lat[shown].tolist(), lon[shown].tolist()):
            if given == count:
                return
            given += 1
            yield place
    raise MosaicError(f"{', '.join(map(str, mosaic.paths))}: shows next to no land between latitudes {band_deg}")
