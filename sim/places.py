"""Places and times drawn at random until they suit: on land, at sea, under the Sun."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array, destination, ecef_from_ned
from sim.earth_frames import sun_ecef, utc_times
from sim.errors import SimError
from sim.texture import Mosaic

YEAR_S = 365.25 * 86400
ROUNDS = 400  # of draws before a wish counts as one that cannot be met
MASK_GSD_M = 3.8e3  # land and sea are told apart at this scale
COVER_GSD_M = 60e3  # what covers the ground is judged by the mosaic's mean colour over so much
MAP_GSD_M = 100e3  # whether a place is on the mosaic shows on its coarsest overview


class Sea(Protocol):
    """What is asked of `sim.ocean.OceanMask`."""

    def share(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> NDArray[np.float32]: ...


@dataclass(frozen=True, eq=False)
class Ground:
    """What is where, for places (N,) in degrees."""

    mosaic: Mosaic
    sea: Sea

    def mapped(self, lat_deg: Array, lon_deg: Array) -> NDArray[np.bool_]:
        """True where the mosaic reaches."""
        return self.mosaic.sample(lat_deg[None], lon_deg[None], MAP_GSD_M)[1][0]

    def land(self, lat_deg: Array, lon_deg: Array) -> NDArray[np.bool_]:
        """True on mapped land (lakes included)."""
        return (self._sea_share(lat_deg, lon_deg) < 0.5) & self.mapped(lat_deg, lon_deg)

    def desert(self, lat_deg: Array, lon_deg: Array) -> NDArray[np.bool_]:
        """True where the map shows bare, bright ground, warmer in colour than snow or salt."""
        red, _, blue, leaves = self._colours(lat_deg, lon_deg)
        return self.land(lat_deg, lon_deg) & (leaves < 0.06) & (red > 110) & (red > 1.2 * blue)

    def fields(self, lat_deg: Array, lon_deg: Array) -> NDArray[np.bool_]:
        """True where the map shows open green country: fields, pasture, steppe; neither forest nor desert."""
        red, green, blue, leaves = self._colours(lat_deg, lon_deg)
        bright = (red + green + blue) / 3
        return self.land(lat_deg, lon_deg) & (leaves > 0.10) & (leaves < 0.32) & (bright > 40) & (bright < 110)

    def _colours(self, lat_deg: Array, lon_deg: Array) -> tuple[Array, Array, Array, Array]:
        """Mean red, green and blue (N,) around places, and how green they are: see `sim.surface`."""
        rgb = self.mosaic.sample(lat_deg[None], lon_deg[None], COVER_GSD_M)[0][0].astype(np.float64)
        red, green, blue = rgb.T
        return red, green, blue, (2 * green - red - blue) / (red + green + blue + 6)

    def open_sea(self, lat_deg: Array, lon_deg: Array, reach_m: float) -> NDArray[np.bool_]:
        """True where twelve points ``reach_m`` around and half that, and the place itself, are mapped ocean."""
        wet = (self._sea_share(lat_deg, lon_deg) > 0.999) & self.mapped(lat_deg, lon_deg)
        for azimuth in range(0, 360, 30):
            for way in (reach_m / 2, reach_m):
                wet &= self._sea_share(*destination(lat_deg, lon_deg, float(azimuth), way)) > 0.999
        return wet

    def _sea_share(self, lat_deg: Array, lon_deg: Array) -> NDArray[np.float32]:
        return self.sea.share(lat_deg[None], lon_deg[None], MASK_GSD_M)[0]


Streams = list[np.random.Generator]


def draw_places(
    streams: Streams,
    bands_deg: list[tuple[float, float]],
    suits: Callable[[Array, Array], NDArray[np.bool_]],
    wish: str,
) -> tuple[Array, Array]:
    """Latitude and longitude (N,), one from each stream, uniform by area over the bands of latitude where ``suits``."""
    edges = np.sin(np.radians(bands_deg))
    heights = np.diff(edges, axis=1).ravel()

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        south, north = edges[rng.choice(len(edges), p=heights / heights.sum())]
        return float(np.degrees(np.arcsin(rng.uniform(south, north)))), float(rng.uniform(-180, 180))

    found = _draw(streams, draw, lambda chosen, drawn: suits(drawn[:, 0], drawn[:, 1]), 2, wish)
    return found[:, 0], found[:, 1]


def draw_times(
    streams: Streams, start: np.datetime64, lat_deg: Array, lon_deg: Array, elevation_deg: tuple[float, float]
) -> NDArray[np.datetime64]:
    """UTC times (N,) in the year after ``start`` when the Sun stands between two elevations over the places (N,)."""
    up = -ecef_from_ned(lat_deg, lon_deg)[..., 2]
    low, high = np.sin(np.radians(elevation_deg))

    def suits(chosen: NDArray[np.intp], drawn: Array) -> NDArray[np.bool_]:
        sine = (up[chosen] * sun_ecef(utc_times(start, drawn[:, 0]))).sum(-1)
        return (sine >= low) & (sine <= high)

    wish = f"a time with the Sun between {elevation_deg[0]:g} and {elevation_deg[1]:g} degrees"
    return utc_times(start, _draw(streams, lambda rng: (rng.uniform(0, YEAR_S),), suits, 1, wish)[:, 0])


def _draw(
    streams: Streams,
    draw: Callable[[np.random.Generator], tuple[float, ...]],
    suits: Callable[[NDArray[np.intp], Array], NDArray[np.bool_]],
    columns: int,
    wish: str,
) -> Array:
    """One row (columns,) from each stream, drawn until it suits; SimError when some never do."""
    found = np.full((len(streams), columns), np.nan)
    open_ = np.arange(len(streams))
    for _ in range(ROUNDS):
        drawn = np.array([draw(streams[i]) for i in open_])
        good = suits(open_, drawn)
        found[open_[good]] = drawn[good]
        open_ = open_[~good]
        if not len(open_):
            return found
    raise SimError(f"{wish} was not found in {ROUNDS} draws: is the mosaic too small, or the latitude band?")
