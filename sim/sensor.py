"""From light to a picture: colours mixed, corners darkened, exposed, blurred, with noise, in eight bits."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from sim.view import Grid

if TYPE_CHECKING:
    from sim.look import Look

# The automatic exposure goes part of the way to bring the mean to MEAN_LEVEL of full scale, keeps the brightest tenth
# below BRIGHT_LEVEL, and never multiplies light by more than MAX_GAIN: night stays night.
MEAN_LEVEL, ADAPTATION, BRIGHT_LEVEL, MAX_GAIN = 0.22, 0.75, 0.85, 8.0


def expose(radiance: NDArray[np.float32], camera: Camera, look: "Look", rng: np.random.Generator) -> NDArray[np.uint8]:
    """A frame (H, W, 3) uint8 RGB of radiance (H, W, 4) in units of the Sun's reflectance."""
    mixed = cv2.transform(radiance, np.array(look.mix, np.float32)).astype(np.float32, copy=False)
    light = mixed * _vignette(camera, look.vignetting)[..., None]
    sees = np.ones(light.shape[:2], bool) if camera.mask is None else camera.mask
    light *= np.float32(_gain(light, sees) * look.exposure) * sees[..., None]
    light = cv2.GaussianBlur(light, (0, 0), look.blur_px).astype(np.float32, copy=False)
    signal_e = np.clip(light, 0, 4) * np.float32(look.full_well_e)
    # Shot noise as a Gaussian of the same variance: indistinguishable from Poisson above a few electrons.
    sigma_e = np.sqrt(signal_e + np.float32(look.read_noise_e**2))
    signal_e += sigma_e * rng.standard_normal(signal_e.shape, dtype=np.float32)
    level = np.clip(signal_e * np.float32(1 / look.full_well_e), 0, 1)
    return np.round(cv2.pow(level, 1 / look.gamma) * 255).astype(np.uint8)


def _gain(light: NDArray[np.float32], sees: NDArray[np.bool_]) -> float:
    luminance = light[::4, ::4].mean(axis=-1)[sees[::4, ::4]]
    if not len(luminance):
        return 1.0
    mean, bright = float(luminance.mean()), float(np.percentile(luminance, 90))
    return min((MEAN_LEVEL / max(mean, 1e-6)) ** ADAPTATION, BRIGHT_LEVEL / max(bright, 1e-6), MAX_GAIN)


def _vignette(camera: Camera, loss: float) -> Grid:
    x = (np.arange(camera.width, dtype=np.float32) - camera.cx) / (camera.width / 2)
    y = (np.arange(camera.height, dtype=np.float32) - camera.cy) / (camera.height / 2)
    radius2 = (x**2 + (y**2)[:, None]) / 2
    return 1 - np.float32(loss) * np.minimum(radius2, 1.5)
