"""What no map shows: crops, rain, burns and dry grass since the mosaic was made, as smooth changes of colour."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.look import Look
from sim.noise import FractalNoise, plane_m
from sim.view import View

_LONGEST_M, _HURST = 6e3, 0.0
_HUE = 0.08  # of the change of brightness, that of colour
_AROUND_M = 15e3  # detail is what differs from the ground so far around
_FADE = 4.0  # of the map's detail, for each unit of change
# Snow and water stay as they are, for their edges are what lasts: of a pixel's least count, and of its greatest.
_COUNTS = np.arange(256, dtype=np.float32)
_NO_SNOW, _NO_WATER = np.clip((200 - _COUNTS) / 60, 0, 1), np.clip((_COUNTS - 22) / 12, 0, 1)


def changed(rgb: NDArray[np.uint8], view: View, look: Look) -> NDArray[np.uint8]:
    """Colours (H, W, 3) of ground that became brighter or darker, greener or drier, here and there, by
    ``look.ground_change`` (standard deviation of the logarithm), while the detail that the map shows faded."""
    if look.ground_change <= 0 or not view.seen.any():
        return rgb
    strength = np.float32(look.ground_change)
    size = int(np.clip(_AROUND_M / np.nanmedian(view.footprint_m), 3, 201))
    keep = max(np.float32(0.3), 1 - np.float32(_FADE) * strength)
    faded = cv2.addWeighted(rgb, float(keep), cv2.blur(rgb, (size, size)), float(1 - keep), 0, dtype=cv2.CV_32F)
    x, y = plane_m(view.ecef_m, look.anchor_lat_deg, look.anchor_lon_deg)
    brighter, greener = (
        FractalNoise(look.cloud_seed + offset, _LONGEST_M, _HURST).at_pixels(view.grid, x, y, view.footprint_m, 2)
        for offset in (11, 12)
    )
    overall = cv2.exp(strength * brighter)
    hue = cv2.exp(np.float32(_HUE) * strength * greener)
    planes, gains = cv2.split(rgb), (overall / hue, overall * hue, overall / hue)
    low, high = cv2.min(cv2.min(*planes[:2]), planes[2]), cv2.max(cv2.max(*planes[:2]), planes[2])
    ground = cv2.LUT(low, _NO_SNOW) * cv2.LUT(high, _NO_WATER)
    altered = [
        plane + (np.minimum(worn * gain, np.float32(255)) - plane) * ground
        for plane, worn, gain in zip(planes, cv2.split(faded), gains)
    ]
    return cv2.convertScaleAbs(cv2.merge(altered))
