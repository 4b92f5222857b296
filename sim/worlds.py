"""Worlds that are not the Earth, each a `sim.texture.Mosaic`: what they show is as rich as a map, and is no place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array
from sim.noise import FractalNoise
from sim.places import Sea
from sim.texture import Mosaic

METRES_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_M


@dataclass(frozen=True, eq=False)
class MirroredMosaic:
    """East and west exchanged: the texture, the coasts and the rivers of the Earth, and no place of it."""

    mosaic: Mosaic

    @property
    def gsd_m(self) -> float:
        return self.mosaic.gsd_m

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        return self.mosaic.sample(lat_deg, -lon_deg, gsd_m)


@dataclass(frozen=True, eq=False)
class MirroredSea:
    sea: Sea

    def share(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> NDArray[np.float32]:
        return self.sea.share(lat_deg, -lon_deg, gsd_m)


class NoSea:
    def share(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> NDArray[np.float32]:
        return np.zeros(lat_deg.shape, np.float32)


@dataclass(frozen=True, eq=False)
class RepeatedMosaic:
    """One patch of a map, ``side_m`` wide around a place, again and again in rows and columns."""

    mosaic: Mosaic
    lat_deg: float
    lon_deg: float
    side_m: float = 60e3

    @property
    def gsd_m(self) -> float:
        return self.mosaic.gsd_m

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        side = self.side_m / METRES_PER_DEGREE
        lat = self.lat_deg + _folded(lat_deg - self.lat_deg, side)
        lon = self.lon_deg + _folded(lon_deg - self.lon_deg, side / float(np.cos(np.radians(self.lat_deg))))
        return self.mosaic.sample(lat, lon, gsd_m)


def _folded(offset_deg: Array, side_deg: float) -> Array:
    return (offset_deg + side_deg / 2) % side_deg - side_deg / 2


@dataclass(frozen=True, eq=False)
class PaintedMosaic:
    """The sea floor that maps paint, as if it were there to be seen: grey, its faint relief drawn out to the contrast
    of land, and bright enough not to be taken for water."""

    mosaic: Mosaic

    @property
    def gsd_m(self) -> float:
        return self.mosaic.gsd_m

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        rgb, mapped = self.mosaic.sample(lat_deg, lon_deg, gsd_m)
        grey = (45 + 2 * rgb.mean(axis=-1, keepdims=True)).clip(0, 255).astype(np.uint8)
        return np.repeat(grey, 3, axis=-1), mapped


class WrinkledWorld:
    """A dry planet of ridges and valleys on every scale, lit from the north-west; it repeats itself nowhere.

    Ridged fractal noise (Musgrave, Kolb and Mace 1989): the zeros of smooth noise are its crests.
    """

    gsd_m = 900.0

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """As `sim.texture.Mosaic`; it covers everything."""
        valid = np.isfinite(lat_deg) & np.isfinite(lon_deg)
        lat, lon = np.where(valid, lat_deg, 0.0), np.where(valid, lon_deg, 0.0)
        middle = float(np.cos(np.radians(lat.flat[lat.size // 2])))
        x, y = lon * METRES_PER_DEGREE * middle, lat * METRES_PER_DEGREE
        slope = self._height(x - gsd_m, y + gsd_m, gsd_m) - self._height(x, y, gsd_m)
        rock = FractalNoise(41, 300e3, 0.5)(*_as_grids(x, y, gsd_m))
        level = 115 + 55 * np.tanh(slope * 6) + 12 * rock
        grey = level.clip(0, 255).astype(np.uint8)[..., None]
        return np.where(valid[..., None], np.repeat(grey, 3, axis=-1), 0).astype(np.uint8), valid

    @staticmethod
    def _height(x_m: Array, y_m: Array, gsd_m: float) -> NDArray[np.float32]:
        places = _as_grids(x_m, y_m, gsd_m)
        ridges = np.abs(FractalNoise(42, 60e3, 0.9, shortest_m=15e3)(*places))
        height: NDArray[np.float32] = FractalNoise(43, 20e3, 0.8, shortest_m=4e3)(*places) * np.float32(0.3) - ridges
        return height


def _as_grids(x_m: Array, y_m: Array, gsd_m: float) -> tuple[NDArray[np.float32], ...]:
    return x_m.astype(np.float32), y_m.astype(np.float32), np.full(x_m.shape, gsd_m, np.float32)
