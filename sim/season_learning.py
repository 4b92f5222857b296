"""Learning the seasons: how colours and snow of other months differ from those of the mosaic's own."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M
from onboard.images import read_image
from onboard.whole_file import whole
from sim.errors import SimError
from sim.season import GAIN_STEP
from sim.texture import Mosaic

_ROWS = 1350  # of the pictures compared: 15 km
_GAIN_ROWS, _SNOW_ROWS = 240, 540
_OFFSET = 6.0  # grey levels added before a ratio, so that black noise does not count
_REACH_PX = (2.5, 10.0, 40.0, 160.0)  # gaps (snow, sea) are filled from ever farther around


def learn_season(base: Mosaic, early_summer: Path, december: Path, out: Path) -> dict[str, float]:
    """Write the fields of `season.SeasonFields` to ``out``: what June and December add to a mosaic of August.

    early_summer, december: pictures of the whole globe, equirectangular, north up, -180 degrees at the left edge.
    Returns figures for people: bytes written and the median absolute log gain over land.
    """
    columns = 2 * _ROWS
    lat = 90 - (np.arange(_ROWS) + 0.5) * 180 / _ROWS
    lon = -180 + (np.arange(columns) + 0.5) * 360 / columns
    lats, lons = (np.ascontiguousarray(grid) for grid in np.broadcast_arrays(lat[:, None], lon[None]))
    august, covered = base.sample(lats, lons, np.pi * EARTH_RADIUS_M / _ROWS)
    if covered.mean() < 0.9:
        raise SimError(f"the mosaic covers {covered.mean():.0%} of the globe: seasons are learned from a whole one")
    pictures = [_globe(early_summer), august, _globe(december)]
    snows = [_snow(picture) for picture in pictures]
    land = covered & ~_sea(august)
    gains = []
    for picture, snow in zip(pictures, snows):
        known = land & (snow < 0.05) & (snows[1] < 0.05) & (picture.max(axis=-1) > 4)
        ratio = np.log((picture.astype(np.float32) + _OFFSET) / (august.astype(np.float32) + _OFFSET))
        gains.append(_filled(np.clip(ratio, -1.5, 1.5), known))
    log_gain = np.stack([_reduced(gain, _GAIN_ROWS) for gain in gains])
    snow_share = np.stack([_reduced(np.where(land, snow, 0).astype(np.float32), _SNOW_ROWS) for snow in snows])
    counts = np.clip(np.rint(log_gain / GAIN_STEP), -127, 127).astype(np.int8)
    # Sixteen steps of snow are as many as can be told, and pack better.
    levels = (np.rint(snow_share * 15) * 17).astype(np.uint8)
    with whole(out) as part, part.open("wb") as stream:
        np.savez_compressed(stream, log_gain=counts, snow=levels)
    size = out.stat().st_size
    return {"bytes": float(size), "median_abs_log_gain": float(np.median(np.abs(gains[2][land])))}


def _globe(path: Path) -> NDArray[np.uint8]:
    picture = read_image(path)
    if abs(picture.shape[1] / picture.shape[0] - 2) > 0.01 or picture.shape[0] < _ROWS:
        raise SimError(
            f"{path} is {picture.shape[1]}x{picture.shape[0]}: a globe is twice as wide as high, from {_ROWS}"
        )
    return cv2.resize(picture, (2 * _ROWS, _ROWS), interpolation=cv2.INTER_AREA)


def _sea(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    red, green, blue = np.moveaxis(rgb.astype(np.float32), -1, 0)
    return (blue > 1.15 * np.maximum(red, green) + 2) & (red < 120)


def _snow(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of snow, from how white and how bright the ground is: deserts are bright but yellow."""
    red, _, blue = np.moveaxis(rgb.astype(np.float32), -1, 0)
    bright = np.clip((rgb.min(axis=-1) - np.float32(50)) / 130, 0, 1)
    white = np.clip((blue / np.maximum(red, 1) - np.float32(0.72)) / np.float32(0.18), 0, 1)
    return (bright * white).astype(np.float32)


def _filled(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Smooth field (H, W, 3) of values known here and there: normalised convolution (Knutsson and Westin 1993), far
    neighbours counting where there are no near ones."""
    weight = known.astype(np.float32)
    total, weights = np.zeros_like(values), np.full(weight.shape, 1e-9, np.float32)
    for number, reach in enumerate(_REACH_PX):
        trust = np.float32(100.0**-number)
        step = max(1, int(reach / 4))  # wide blurs of a smaller picture are the same and quick
        small = (values.shape[1] // step, values.shape[0] // step)
        for source, target in ((values * weight[..., None], total), (weight, weights)):
            shrunk = cv2.resize(source, small, interpolation=cv2.INTER_AREA)
            blurred = cv2.GaussianBlur(shrunk, (0, 0), reach / step, borderType=cv2.BORDER_REPLICATE)
            target += trust * cv2.resize(blurred, values.shape[1::-1])
    return total / weights[..., None]


def _reduced(field: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    return cv2.resize(field, (2 * rows, rows), interpolation=cv2.INTER_AREA)
