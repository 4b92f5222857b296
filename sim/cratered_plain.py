"""An airless-looking world: a plain of craters upon craters, lit from the side."""

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array

SIDE_PX = 2048
CRATERS = 30_000
LARGEST_PX, SMALLEST_PX = 110.0, 1.5
METRES_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_M


class CrateredPlain:
    """A tile of craters repeated over latitude and longitude, as a `sim.texture.Mosaic`. Sizes follow the cumulative
    power law of an old lunar surface, N(> r) ~ r**-2 (Neukum et al. 2001, for kilometres and more)."""

    gsd_m = 900.0

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        height = np.zeros((SIDE_PX, SIDE_PX), np.float32)
        radii = np.sort(SMALLEST_PX / np.sqrt(rng.uniform((SMALLEST_PX / LARGEST_PX) ** 2, 1, CRATERS)))[::-1]
        for radius in radii:  # the young small ones on top of the old large ones
            _dig(height, float(radius), rng.integers(0, SIDE_PX, 2))
        slope = (height - np.roll(height, 1, axis=1)) + 0.4 * (height - np.roll(height, 1, axis=0))
        albedo = cv2.GaussianBlur(rng.normal(0, 1, height.shape).astype(np.float32), (0, 0), 30)
        level = 110 + 55 * np.tanh(slope * 1.4) + 14 * albedo / albedo.std()
        self._levels = [level.clip(0, 255).astype(np.uint8)]
        while len(self._levels[-1]) > 8:
            self._levels.append(
                cv2.resize(self._levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8)
            )

    def sample(self, lat_deg: Array, lon_deg: Array, gsd_m: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """As `sim.texture.Mosaic`; it covers everything."""
        valid = np.isfinite(lat_deg) & np.isfinite(lon_deg)
        k = int(np.clip(np.floor(np.log2(gsd_m / self.gsd_m) + 0.01), 0, len(self._levels) - 1))
        step = self.gsd_m * 2.0**k
        x = np.where(valid, lon_deg, 0) * METRES_PER_DEGREE / step % (SIDE_PX >> k)
        y = -np.where(valid, lat_deg, 0) * METRES_PER_DEGREE / step % (SIDE_PX >> k)
        grey = cv2.remap(
            self._levels[k], x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        return np.where(valid[..., None], np.repeat(grey[..., None], 3, axis=-1), 0).astype(np.uint8), valid


def _dig(height: NDArray[np.float32], radius: float, centre: NDArray[np.int64]) -> None:
    """A bowl with a raised rim and a blanket that thins out, wrapped round the tile's edges."""
    reach = int(np.ceil(2 * radius))
    axis = np.arange(-reach, reach + 1)
    way = np.hypot(axis[:, None], axis) / radius
    bowl = np.where(way < 1, way**2 - 0.8, 0.2 * np.maximum(0, 2 - way) ** 3)
    rows, columns = (axis[:, None] + centre[0]) % SIDE_PX, (axis + centre[1]) % SIDE_PX
    # The bowl wipes out most of what was there, and ends where the old ground begins.
    kept = np.clip(way, 0.3, 1).astype(np.float32)
    height[rows, columns] = kept * height[rows, columns] + 0.35 * radius * bowl.astype(np.float32)
