"""Fractal noise on the ground: octaves of seeded lattices, the same at any camera and any resolution."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, ecef_from_ned
from sim.view import Grid

LATTICE = 256  # nodes before an octave repeats itself
# Variance left of unit white noise after cubic interpolation at a random place.
CUBIC_VARIANCE = 0.60


@dataclass(frozen=True)
class FractalNoise:
    """Unit-variance noise in the plane. Octave k has wavelength longest_m / 2**k and amplitude falling as
    wavelength**hurst; octaves finer than two footprints or ``shortest_m`` are left out, so it never aliases.
    ``stretch`` draws it out along +x."""

    seed: int
    longest_m: float
    hurst: float
    shortest_m: float = 300.0
    stretch: float = 1.0

    def __call__(self, x_m: Grid, y_m: Grid, footprint_m: Grid, coarse: int = 1) -> Grid:
        """Noise (H, W) at places (H, W) in metres, NaN or not; ``coarse``: evaluated at most every so many pixels."""
        height, width = x_m.shape
        x, y = np.nan_to_num(x_m) / self.stretch, np.nan_to_num(y_m)
        step = np.nan_to_num(footprint_m, nan=1e12, posinf=1e12)
        finest = max(self.shortest_m, 2 * float(step.min()))
        sums: dict[int, NDArray[np.float32]] = {}
        grids: dict[int, tuple[Grid, Grid, Grid]] = {}
        variance, k, wavelength = 0.0, 0, self.longest_m
        while wavelength >= finest:
            # An octave is smooth: it needs a node every eighth of its wavelength, not every pixel.
            every = coarse
            while every < 16 and wavelength / (16 * every) > finest / 2:
                every *= 2
            if every not in grids:
                size = (-(-width // every), -(-height // every))
                grids[every] = tuple(_shrunk(grid, size) for grid in (x, y, step))  # type: ignore[assignment]
                sums[every] = np.zeros(size[::-1], np.float32)
            grid_x, grid_y, grid_step = grids[every]
            amplitude = (wavelength / self.longest_m) ** self.hurst
            lattice = np.random.default_rng((self.seed, k)).standard_normal((LATTICE, LATTICE), dtype=np.float32)
            octave = cv2.remap(
                lattice, grid_x * np.float32(1 / wavelength), grid_y * np.float32(1 / wavelength), cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_WRAP,
            )  # fmt: skip
            if wavelength < 4 * float(grid_step.max()):
                octave *= np.clip(np.log2(wavelength / (2 * grid_step)), 0, 1)
            sums[every] += np.float32(amplitude) * octave
            variance += amplitude**2 * CUBIC_VARIANCE
            wavelength, k = wavelength / 2, k + 1
        total = np.zeros((height, width), np.float32)
        for part in sums.values():
            total += part if part.shape == total.shape else cv2.resize(part, (width, height))
        return total / np.float32(np.sqrt(max(variance, 1e-9)))


def plane_m(ecef_m: Grid, lat_deg: float, lon_deg: float) -> tuple[Grid, Grid]:
    """Metres east and north (H, W) of places (H, W, 3) around an anchor, azimuthal equidistant."""
    north, east, down = ecef_from_ned(lat_deg, lon_deg).T.astype(np.float32)
    to_plane = np.stack([east, north, -down])
    e, n, up = cv2.split(cv2.transform(ecef_m, to_plane))
    across = np.sqrt(e * e + n * n)
    scale = EARTH_RADIUS_M * np.arctan2(across, up) / np.maximum(across, np.float32(1e-3))
    return (e * scale).astype(np.float32), (n * scale).astype(np.float32)


def _shrunk(grid: Grid, size: tuple[int, int]) -> Grid:
    if grid.shape[::-1] == size:
        return grid
    return cv2.resize(grid, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
