"""Fractal noise fields, the stuff of simulated clouds, haze and snow."""

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray  # float32; OpenCV's stubs promise less

FIELD_PX = 512
# Exponents of the amplitude spectrum: from popcorn cumulus to smooth banks.
SLOPES = (0.9, 1.3, 1.6, 2.0)


class Noise:
    """A few tileable fields, ranked to be uniform in 0..1, so that a threshold is a share of cover."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._fields = [_fractal(rng, slope) for slope in SLOPES for _ in range(2)]

    def draw(
        self,
        rng: np.random.Generator,
        size_px: int,
        zoom: float,
        stretch: float = 1.0,
        slopes: tuple[int, int] = (0, len(SLOPES)),
    ) -> Float:
        """A random piece (size_px, size_px) of a field: float32 in 0..1.

        zoom: output pixels per field pixel; stretch: how much longer one way than the other, at a random angle;
        slopes: range of indices into SLOPES to choose from.
        """
        field = self._fields[int(rng.integers(2 * slopes[0], 2 * slopes[1]))]
        angle = rng.uniform(0, 2 * np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        matrix = np.diag([1 / (zoom * stretch), 1 / zoom]) @ turn
        affine = np.column_stack([matrix, rng.uniform(0, FIELD_PX, 2)])
        return cv2.warpAffine(
            field, affine, (size_px, size_px), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_WRAP
        )


def _fractal(rng: np.random.Generator, slope: float) -> Float:
    frequency = np.hypot(np.fft.fftfreq(FIELD_PX)[:, None], np.fft.rfftfreq(FIELD_PX)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((FIELD_PX, FIELD_PX))) / frequency**slope
    spectrum[0, 0] = 0
    values = np.fft.irfft2(spectrum, s=(FIELD_PX, FIELD_PX)).ravel()
    ranks = np.empty(values.size, np.float32)
    ranks[np.argsort(values)] = np.linspace(0, 1, values.size, dtype=np.float32)
    return ranks.reshape(FIELD_PX, FIELD_PX)


def smoothstep(values: Float, low: float, high: float) -> Float:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
