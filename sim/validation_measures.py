"""What is measured of a picture, real or simulated: light, texture, colour, and how well it matches the map."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import unit_from_latlon
from onboard.ground_plane import GroundPlane
from onboard.localizer import Localizer
from onboard.rectify import Rectified, rectifier
from onboard.verification import Verifier, distinct
from onboard.voting import Candidate

HISTOGRAM_BINS = 64
# Wavelengths, in pixels of the rectified picture, between which the slope of the spectrum is fitted.
_SLOPE_PX = (3.0, 48.0)
_CONTRAST_PX = 15
_FEWEST = 10  # keypoints or landmarks: with fewer there is nothing to match
# Wrong headings over the right place, as many landmarks: what chance alone agrees to.
_TURNS_DEG = (60.0, 120.0, 180.0, 240.0, 300.0)


@dataclass(frozen=True)
class Truth:
    """Where a picture was taken."""

    lat_deg: float
    lon_deg: float
    altitude_m: float
    heading_deg: float


class Gauge:
    """Measures pictures of one camera at the scale at which the localizer sees them."""

    def __init__(self, localizer: Localizer) -> None:
        self.localizer, self.camera = localizer, localizer.camera
        self._verifier = Verifier(
            localizer.catalogue, localizer.mission.gsd_m, localizer.search.scale_ratio, localizer.describer.likeness
        )

    def measure(self, frame: NDArray[np.uint8], truth: Truth) -> dict[str, float | list[float]]:
        """Measures of a frame (H, W, 3) uint8 RGB taken at ``truth``; plain numbers for JSON."""
        rectified = rectifier(self.camera, GroundPlane(truth.altitude_m), self.localizer.mission.gsd_m)(frame)
        return {
            **light_and_colour(rectified),
            "spectrum_slope": spectrum_slope(rectified.image, rectified.mask),
            "pixel_sharpness": pixel_sharpness(frame, self.camera),
            **self._match(rectified, truth),
        }

    def _match(self, rectified: Rectified, truth: Truth) -> dict[str, float | list[float]]:
        """Keypoints, those mutually nearest to a landmark near by, and those that agree on the place: at the truth,
        and at wrong headings (median)."""
        view = self.localizer.view_of_rectified(rectified, self.camera)
        area = float(rectified.mask.sum()) / 1e3

        def consensus(heading_deg: float) -> tuple[int, int]:
            reach_rad = float(view.way_rad.max(initial=0.0))
            if len(view) < _FEWEST or len(self._verifier.grid.within(unit, reach_rad)) < _FEWEST:
                return 0, 0
            # No pair is called worldwide nearest: what counts here is the picture, not the search.
            candidate = Candidate(tuple(unit.tolist()), heading_deg % 360.0, 0)
            found = self._verifier.verify(candidate, view, np.array([-1]))
            return len(found.matches), int((found.agree & distinct(found.matches, found.weight, view)).sum())

        unit = unit_from_latlon(truth.lat_deg, truth.lon_deg)
        matches, inliers = consensus(truth.heading_deg)
        chance = [consensus(truth.heading_deg + turn)[1] for turn in _TURNS_DEG]
        return {
            "keypoints_per_kpx": len(view) / max(area, 1e-3),
            "matches": float(matches),
            "inliers": float(inliers),
            "chance_inliers": float(np.median(chance)),
            "inlier_rate": inliers / max(matches, 1),
        }


def light_and_colour(rectified: Rectified) -> dict[str, float | list[float]]:
    """Luminance 0 to 1 (mean, histogram), local contrast (median of deviation over mean), colourfulness."""
    mask = rectified.mask
    rgb = rectified.image.astype(np.float32) / 255
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    seen = grey[mask]
    histogram = np.histogram(seen, HISTOGRAM_BINS, (0, 1))[0] / max(len(seen), 1)
    window = (_CONTRAST_PX, _CONTRAST_PX)
    inner = cv2.erode(mask.astype(np.uint8), np.ones(window, np.uint8), borderValue=0) > 0
    mean = cv2.blur(grey, window)
    deviation = np.sqrt(np.maximum(cv2.blur(grey * grey, window) - mean * mean, 0))
    contrast = deviation[inner] / np.maximum(mean[inner], 0.02)
    red, green, blue = (rgb[..., band][mask] for band in range(3))
    top, low = rgb[mask].max(axis=1), rgb[mask].min(axis=1)
    return {
        "luminance": float(seen.mean()),
        "luminance_deviation": float(seen.std()),
        "luminance_histogram": [round(float(share), 6) for share in histogram],
        "local_contrast": float(np.median(contrast)) if len(contrast) else 0.0,
        "saturation": float(((top - low) / np.maximum(top, 0.02)).mean()),
        "red_to_blue": float(np.log(max(red.mean(), 1e-3) / max(blue.mean(), 1e-3))),
        "correlation_red_green": _correlation(red, green),
        "correlation_green_blue": _correlation(green, blue),
        "correlation_red_blue": _correlation(red, blue),
    }


def spectrum_slope(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    """Exponent of the power spectrum of luminance, power ~ frequency**slope, in the largest square that fits the
    mask around its middle (natural scenes: about -2 to -3; Field 1987)."""
    rows, columns = np.nonzero(mask)
    row, column = int(rows.mean()), int(columns.mean())
    half = 0
    while half + 8 < min(row, column, mask.shape[0] - row, mask.shape[1] - column) and (
        mask[row - half - 8 : row + half + 8, column - half - 8 : column + half + 8].all()
    ):
        half += 8
    if half < _SLOPE_PX[1] / 2:
        return float("nan")
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    patch = grey[row - half : row + half, column - half : column + half]
    window = np.hanning(2 * half)
    power = np.abs(np.fft.fft2((patch - patch.mean()) * np.outer(window, window))) ** 2
    step = np.fft.fftfreq(2 * half)
    frequency = np.hypot(step[:, None], step)
    # Means over rings of equal width in log frequency, so that every octave weighs the same.
    edges = np.geomspace(1 / _SLOPE_PX[1], 1 / _SLOPE_PX[0], 13)
    ring = np.digitize(frequency, edges)
    x, y = [], []
    for number in range(1, len(edges)):
        inside = ring == number
        if inside.any():
            x.append(np.log(frequency[inside]).mean())
            y.append(np.log(power[inside].mean() + 1e-9))
    return float(np.polyfit(x, y, 1)[0])


def pixel_sharpness(frame: NDArray[np.uint8], camera: Camera) -> float:
    """Detail between 2 and 4 of the camera's own pixels over that between 4 and 8: optics, sensor and their
    processing more than the scene."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    first, second, third = grey, cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.GaussianBlur(grey, (0, 0), 2.0)
    seen = np.ones(grey.shape, np.uint8) if camera.mask is None else camera.mask.astype(np.uint8)
    seen = cv2.erode(seen, np.ones((17, 17), np.uint8), borderValue=0) > 0
    return float((first - second)[seen].std() / max(float((second - third)[seen].std()), 1e-3))


def _correlation(a: NDArray, b: NDArray) -> float:
    if min(a.std(), b.std()) < 1e-4:
        return 1.0
    return float(np.corrcoef(a, b)[0, 1])
