"""Snow and vegetation through the year: a mosaic of one month recoloured to any day, by what was learned from others.

The fields are learned by `sim.season_learning` (``nadir sim learn-season``) from low-resolution mosaics of other
months: smooth changes of colour, and where snow lies. Texture stays the mosaic's own.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array
from sim.errors import SimError
from sim.look import Look
from sim.noise import FractalNoise, plane_m
from sim.view import Grid, View

FIELDS = Path(__file__).with_name("season_fields.npz")
GAIN_STEP = 1 / 40  # of one count of the stored log gains
# The months of the fields as parts of the year, in the order they are stored. Snow lies longest towards February,
# so that the last month's fields hold until then.
MONTHS = (0.42, 0.62, 0.956)  # 1 June, mid August, mid December
_BASE = 1
_WINTER_ENDS = 0.13
_SNOW_RGB = np.array([214, 219, 224], np.float32)
_BARE = np.clip((220 - np.arange(256, dtype=np.float32)) / 80, 0, 1)  # of a count: the year does not dye snow
_PATCH_M = 45e3  # snow lies in patches up to so large
_RIM = 0.35  # of full cover: how gradually a patch ends


@dataclass(frozen=True, eq=False)
class SeasonFields:
    """Global fields, equirectangular, north up, from -180 degrees: log_gain (months, h, w, 3) float32 of colours
    relative to the base month; snow (months, H, W) float32, share of ground under snow."""

    log_gain: NDArray[np.float32]
    snow: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path = FIELDS) -> "SeasonFields":
        """Read what ``nadir sim learn-season`` wrote; SimError when it is missing or damaged."""
        try:
            with np.load(path) as stored:
                gain, snow = stored["log_gain"], stored["snow"]
        except (OSError, ValueError, KeyError) as error:
            raise SimError(
                f"{path}: cannot be read as season fields ({error}); learn them with 'nadir sim learn-season'"
            ) from error
        return cls(gain.astype(np.float32) * np.float32(GAIN_STEP), snow.astype(np.float32) / 255)

    def at(self, season: float, lat_deg: Array, lon_deg: Array) -> tuple[Grid, Grid]:
        """Log gain (h, w, 3) and the share (h, w) of ground that is under snow and was not in the base month, at a part
        of the year, of places (h, w)."""
        lat, lon = np.nan_to_num(lat_deg), np.nan_to_num(lon_deg)
        weights = month_weights(season)
        # Thaw is quicker than leaves are: half-way from winter to summer most of the snow is gone.
        thawed = np.where(weights < 1, weights**2, weights)
        gain, snow = np.zeros((*lat.shape, 3), np.float32), np.zeros(lat.shape, np.float32)
        for month in np.flatnonzero(weights):
            gain += np.float32(weights[month]) * _read(self.log_gain[month], lat, lon)
            snow += np.float32(thawed[month]) * _read(self.snow[month], lat, lon)
        base = _read(self.snow[_BASE], lat, lon)
        return gain, np.clip((snow - base) / np.maximum(1 - base, np.float32(0.05)), 0, 1)


def month_weights(season: float) -> NDArray[np.float64]:
    """Shares (len(MONTHS),) of the learned months at a part of the year 0 to 1, which wraps; they sum to 1."""
    last = len(MONTHS) - 1
    knots = np.array([MONTHS[-1] - 1, _WINTER_ENDS, *MONTHS])
    which = [last, last, *range(len(MONTHS))]
    season = season % 1.0
    if season > MONTHS[-1]:
        season -= 1
    after = int(np.searchsorted(knots, season).clip(1, len(knots) - 1))
    share = (season - knots[after - 1]) / (knots[after] - knots[after - 1])
    weights = np.zeros(len(MONTHS))
    weights[which[after - 1]] += 1 - share
    weights[which[after]] += share
    return weights


def season_of(time: np.datetime64) -> float:
    """Part of the year, 0 on 1 January, of a UTC time."""
    year = time.astype("datetime64[Y]")
    start, end = year.astype("datetime64[s]"), (year + 1).astype("datetime64[s]")
    return float((time.astype("datetime64[s]") - start) / (end - start))


def recolour(rgb: NDArray[np.uint8], view: View, look: Look) -> NDArray[np.uint8]:
    """The mosaic's colours (H, W, 3) as they would be in the look's season; unchanged when it is None."""
    if look.season is None or not view.seen.any():
        return rgb
    gain, snow = _fields().at(look.season, view.lat_deg, view.lon_deg)
    red, green, blue = cv2.split(rgb)
    bare = cv2.LUT(cv2.min(cv2.min(red, green), blue), _BARE)
    planes = []
    for plane, more in zip((red, green, blue), cv2.split(cv2.exp(gain) - 1)):
        factor = view.grid.at_pixels(more) * bare
        factor += 1
        planes.append(plane * factor)
    coloured: NDArray[np.float32] = cv2.merge(planes)
    if snow.max() > 0.01:
        coloured = _snowed(coloured, view.grid.at_pixels(snow), view, look)
    return cv2.convertScaleAbs(coloured)


def _snowed(rgb: NDArray[np.float32], share: Grid, view: View, look: Look) -> NDArray[np.float32]:
    """Ground with so much of it under snow: in patches, bare bright ground first, thinner under trees."""
    x, y = plane_m(view.ecef_m, look.anchor_lat_deg, look.anchor_lon_deg)
    patches = FractalNoise(look.cloud_seed + 7, _PATCH_M, 0.5).at_pixels(view.grid, x, y, view.footprint_m, coarse=2)
    luminance = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    around = cv2.blur(luminance, (31, 31))
    open_ground = np.clip((luminance - around) / (0.25 * around + 4), -1.5, 1.5)
    # The logistic function of a standard normal value is about its rank.
    rank = 1 / (1 + np.exp(-1.7 * (np.float32(0.85) * patches - np.float32(0.6) * open_ground)))
    cover = np.clip((share * np.float32(1 + _RIM) - rank) / np.float32(_RIM), 0, 1)
    trees = np.clip((70 - luminance) / 45, 0, 1)
    relief = np.clip(luminance / np.maximum(around, 8), 0.8, 1.15)
    white = _SNOW_RGB * relief[..., None]
    return rgb + (white - rgb) * (cover * (1 - np.float32(0.55) * trees))[..., None]


def _read(field: NDArray[np.float32], lat_deg: NDArray, lon_deg: NDArray) -> NDArray[np.float32]:
    """A global field (h, w) or (h, w, 3) read bilinearly at places."""
    height, width = field.shape[:2]
    wide = np.concatenate([field[:, -1:], field, field[:, :1]], axis=1)  # the antimeridian is no edge
    x = ((lon_deg + 180.0) % 360.0 / 360.0 * width + 0.5).astype(np.float32)
    y = ((90.0 - lat_deg) / 180.0 * height - 0.5).astype(np.float32)
    return cv2.remap(wide, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=1)
def _fields() -> SeasonFields:
    return SeasonFields.load()
