"""What no map shows: crops, rain, burns and dry grass since the mosaic was made, as smooth changes of colour."""

import numpy as np
from numpy.typing import NDArray

from sim.look import Look
from sim.noise import FractalNoise, plane_m
from sim.view import View

_LONGEST_M, _HURST = 8e3, 0.05
_HUE = 0.12  # of the change of brightness, that of colour


def changed(rgb: NDArray[np.float32], view: View, look: Look) -> NDArray[np.float32]:
    """Colours (H, W, 3), 0 to 255, of ground that became brighter or darker, greener or drier, here and there, by
    ``look.ground_change`` (standard deviation of the logarithm)."""
    if look.ground_change <= 0:
        return rgb
    x, y = plane_m(view.ecef_m, look.anchor_lat_deg, look.anchor_lon_deg)
    brighter, greener = (
        FractalNoise(look.cloud_seed + offset, _LONGEST_M, _HURST).at_pixels(view.grid, x, y, view.footprint_m, 2)
        for offset in (11, 12)
    )
    strength = np.float32(look.ground_change)
    overall = np.exp(strength * brighter)
    hue = np.exp(np.float32(_HUE) * strength * greener)
    gains = np.stack([overall / hue, overall * hue, overall / hue], axis=-1)
    # White and black stay: snow, and water under no change of season.
    weight = np.clip((250 - rgb.max(axis=-1, keepdims=True)) / 80, 0, 1)
    return np.minimum(rgb * (1 + (gains - 1) * weight), np.float32(255))
