"""From light to a picture: colours mixed, smeared by motion, exposed, with noise, developed, in eight bits."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.orbit_motion import EARTH_GM_M3_S2
from sim.errors import SimError
from sim.noise import white_noise
from sim.view import Grid, strips

if TYPE_CHECKING:
    from sim.look import Look

# The automatic exposure goes part of the way to bring the mean to MEAN_LEVEL of full scale, keeps the brightest tenth
# below BRIGHT_LEVEL, and never multiplies light by more than MAX_GAIN: night stays night.
MEAN_LEVEL, ADAPTATION, BRIGHT_LEVEL, MAX_GAIN = 0.24, 0.85, 0.85, 16.0
COUNTS = 65535  # of the converter at full scale
_STILL_PX = 0.05  # motion below this is not drawn
_SHARPEN_SIGMA_PX = 1.0
_DENOISE_PX, _DENOISE_LEVELS = 2.0, 14.0


def expose(
    radiance: NDArray[np.float32], camera: Camera, look: "Look", rng: np.random.Generator, altitude_m: float
) -> NDArray[np.uint8]:
    """A frame (H, W, 3) uint8 RGB of radiance (4, H, W) in units of the Sun's reflectance.

    altitude_m: of the camera; with its focal length it says how fast the ground passes.
    """
    light = _balanced(radiance, camera, look)
    light = _moved(light, drift_px_s(camera, altitude_m, look), look)
    light = cv2.GaussianBlur(light, (0, 0), look.blur_px).astype(np.float32, copy=False)
    counts = _read_out(light, look, rng)
    if look.bayer:
        counts = _demosaiced(counts)
    tone = (np.arange(COUNTS + 1) / COUNTS) ** (1 / look.gamma) * 255
    return _developed(cv2.LUT(counts, np.rint(tone).astype(np.uint8)), look)


def drift_px_s(camera: Camera, altitude_m: float, look: "Look") -> tuple[float, float]:
    """How fast the ground moves through the middle of the picture, pixels a second right and down: the speed of a
    circular orbit over the ground, nadir held, plus the camera's own turn rate."""
    radius_m = EARTH_RADIUS_M + altitude_m
    speed_m_s = np.sqrt(EARTH_GM_M3_S2 / radius_m) * EARTH_RADIUS_M / radius_m
    track = np.radians(look.track_deg)
    turn_x, turn_y, _ = look.turn_rad_s
    right = -speed_m_s / altitude_m * np.sin(track) - turn_y
    down = speed_m_s / altitude_m * np.cos(track) + turn_x
    return float(camera.fx * right), float(camera.fy * down)


def track_deg(ecef_from_cam: Array, velocity_ecef_m_s: Array) -> float:
    """Direction of flight in the picture, clockwise from its up, 0 to 360."""
    right, down, _ = ecef_from_cam.T @ velocity_ecef_m_s
    return float(np.degrees(np.arctan2(right, -down)) % 360.0)


def _moved(light: NDArray[np.float32], drift: tuple[float, float], look: "Look") -> NDArray[np.float32]:
    """Smeared for as long as the shutter is open; rows read one after another show the ground ever farther on. The
    picture's time is that of its first row."""
    smear = np.hypot(*drift) * look.exposure_s
    if smear > _STILL_PX:
        light = cv2.filter2D(light, -1, smear_kernel(drift, look.exposure_s), borderType=cv2.BORDER_REPLICATE)
    height, width = light.shape[:2]
    if np.hypot(*drift) * look.readout_s > _STILL_PX:
        late_s = np.arange(height, dtype=np.float32)[:, None] * np.float32(look.readout_s / max(height - 1, 1))
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        x, y = x - np.float32(drift[0]) * late_s, y - np.float32(drift[1]) * late_s
        light = cv2.remap(light, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return light


def smear_kernel(drift_px_s: tuple[float, float], exposure_s: float) -> Grid:
    """Point spread of a steady motion, a line that sums to 1, drawn bilinearly."""
    dx, dy = (value * exposure_s for value in drift_px_s)
    reach = int(np.ceil(max(abs(dx), abs(dy)) / 2)) + 1
    kernel = np.zeros((2 * reach + 1,) * 2, np.float32)
    points = max(16, 8 * reach)
    for t in (np.arange(points) + 0.5) / points - 0.5:
        x, y = reach + t * dx, reach + t * dy
        column, row = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - column, y - row
        kernel[row, column] += (1 - fx) * (1 - fy)
        kernel[row, column + 1] += fx * (1 - fy)
        kernel[row + 1, column] += (1 - fx) * fy
        kernel[row + 1, column + 1] += fx * fy
    return kernel / kernel.sum()


def _balanced(radiance: NDArray[np.float32], camera: Camera, look: "Look") -> NDArray[np.float32]:
    """Light (H, W, 3) on the sensor, 1 at full scale: colours mixed, stray light added, balanced and exposed."""
    mix = np.array(look.mix, np.float32)
    shade = _vignette(camera, look.vignetting)
    shape = radiance.shape[1:]
    sees = np.ones(shape, bool) if camera.mask is None else camera.mask
    if camera.mask is not None:
        shade *= sees
    # Light scattered in window and lens, spread over the whole picture.
    weights = None if camera.mask is None else sees.astype(np.uint8)
    mean = [cv2.mean(band, weights)[0] for band in radiance]
    stray = (look.veil * (mix @ mean)).astype(np.float32)

    few = np.s_[::4, ::4]
    metered = np.einsum("cb,bij->ijc", mix, radiance[:, ::4, ::4]) + stray
    metered *= shade[few][..., None]
    balance = _white_balance(metered, sees[few], look.white_balance)
    balance *= np.float32(_gain(metered * balance, sees[few]) * look.exposure)

    light = np.empty((*shape, 3), np.float32)
    for rows in strips(*shape):
        planes = []
        for shares, more in zip(balance[:, None] * mix, balance * stray):
            plane = radiance[0, rows] * shares[0]
            for band, share in zip(radiance[1:, rows], shares[1:]):
                cv2.scaleAdd(band, float(share), plane, dst=plane)
            plane += more
            plane *= shade[rows]
            planes.append(plane)
        cv2.merge(planes, light[rows])
    return light


def _read_out(light: NDArray[np.float32], look: "Look", rng: np.random.Generator) -> NDArray[np.uint16]:
    """What the converter counts (H, W, 3), COUNTS at the full well, where it saturates; ``light`` is used up."""
    noise = white_noise(light.shape, rng)
    for rows in strips(*light.shape[:2]):
        signal_e = np.clip(light[rows], 0, 4, out=light[rows])
        signal_e *= np.float32(look.full_well_e)
        # Shot noise as a Gaussian of the same variance: indistinguishable from Poisson above a few electrons.
        sigma_e = cv2.sqrt(signal_e + np.float32(look.read_noise_e**2))
        sigma_e *= noise[rows]
        signal_e += sigma_e
    hot = rng.poisson(look.hot_pixels * light.shape[0] * light.shape[1]) if look.hot_pixels > 0 else 0
    if hot:
        down, across = (rng.integers(0, size, hot) for size in light.shape[:2])
        light[down, across, rng.integers(0, 3, hot)] += rng.exponential(0.4 * look.full_well_e, hot)
    return cv2.addWeighted(light, COUNTS / look.full_well_e, light, 0, 0, dtype=cv2.CV_16U)


def _demosaiced(counts: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """One colour a pixel (red, green / green, blue), the others guessed along edges as a camera does."""
    raw = counts[..., 1].copy()
    raw[::2, ::2] = counts[::2, ::2, 0]
    raw[1::2, 1::2] = counts[1::2, 1::2, 2]
    return cv2.demosaicing(raw, cv2.COLOR_BayerRGGB2RGB_EA).astype(np.uint16, copy=False)


def _developed(picture: NDArray[np.uint8], look: "Look") -> NDArray[np.uint8]:
    """What a camera does to a picture before it hands it over: noise smoothed, edges sharpened, JPEG."""
    if look.denoise > 0:
        smooth = cv2.bilateralFilter(picture, 5, _DENOISE_LEVELS, _DENOISE_PX)
        picture = cv2.addWeighted(picture, 1 - look.denoise, smooth, look.denoise, 0)
    if look.sharpen > 0:
        soft = cv2.GaussianBlur(picture, (0, 0), _SHARPEN_SIGMA_PX)
        picture = cv2.addWeighted(picture, 1 + look.sharpen, soft, -look.sharpen, 0)
    if look.jpeg_quality > 0:
        encoded, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality])
        if not encoded:
            raise SimError(f"JPEG of quality {look.jpeg_quality} could not be made: 1 to 100, 0 for none")
        picture = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return picture.astype(np.uint8, copy=False)


def _white_balance(light: NDArray[np.float32], sees: NDArray[np.bool_], share: float) -> NDArray[np.float32]:
    """Gains (3,) that go part of the way to grey; the brightest count most (shades of grey, Finlayson and Trezzi
    2004), so that clouds turn white and the sea stays blue."""
    some = np.maximum(light[sees], 0)
    cubed = some * some * some
    powers = (cubed * cubed).mean(axis=0) if len(some) else np.ones(3, np.float32)
    means = np.maximum(powers, 1e-12) ** np.float32(1 / 6)
    return ((means.mean() / means) ** np.float32(share)).astype(np.float32)


def _gain(light: NDArray[np.float32], sees: NDArray[np.bool_]) -> float:
    luminance = light.mean(axis=-1)[sees]
    if not len(luminance):
        return 1.0
    mean, bright = float(luminance.mean()), float(np.percentile(luminance, 90))
    return min((MEAN_LEVEL / max(mean, 1e-6)) ** ADAPTATION, BRIGHT_LEVEL / max(bright, 1e-6), MAX_GAIN)


def _vignette(camera: Camera, loss: float) -> Grid:
    x = (np.arange(camera.width, dtype=np.float32) - camera.cx) / (camera.width / 2)
    y = (np.arange(camera.height, dtype=np.float32) - camera.cy) / (camera.height / 2)
    radius2 = (x**2 + (y**2)[:, None]) / 2
    return 1 - np.float32(loss) * np.minimum(radius2, 1.5)
