"""Fractal noise on the ground: octaves of a random lattice, the same at any camera and any resolution."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, ecef_from_ned
from sim.view import Grid, NodeGrid

LATTICE = 512  # nodes before an octave repeats itself
LATTICE_SEED = 20180428
# Variance left of unit white noise after cubic interpolation at a random place.
CUBIC_VARIANCE = 0.60
# An octave is smooth: this many points a lattice node, joined linearly, lose at most 5 % of its finest waves.
POINTS_PER_NODE = 4


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

    def __call__(self, x_m: Grid, y_m: Grid, footprint_m: Grid) -> Grid:
        """Noise (h, w) at places (h, w) in metres, so far apart as ``footprint_m`` says; NaN counts as 0, 0."""
        x, y, finest = self._places(x_m, y_m, footprint_m)
        total, variance = np.zeros(x.shape, np.float32), 0.0
        for k, wavelength, amplitude in self._octaves(finest):
            total += self._octave(k, wavelength, amplitude, x, y, finest)
            variance += amplitude**2 * CUBIC_VARIANCE
        return total / np.float32(np.sqrt(max(variance, 1e-9)))

    def at_pixels(self, grid: NodeGrid, x_m: Grid, y_m: Grid, footprint_m: Grid, coarse: int = 1) -> Grid:
        """Noise (height, width) of a picture, of places and pixel footprints at its nodes; every octave is evaluated
        as densely as it needs, but at most every ``coarse`` pixels."""
        x, y, finest = self._places(x_m, y_m, footprint_m)
        sums: dict[int, Grid] = {}
        places: dict[int, tuple[Grid, Grid, Grid]] = {}
        variance = 0.0
        least = 2.0 ** float(finest.min())
        for k, wavelength, amplitude in self._octaves(finest):
            every = coarse
            while every < 16 and wavelength >= every * POINTS_PER_NODE * least:
                every *= 2
            if every not in places:
                places[every] = grid.every(x, every), grid.every(y, every), grid.every(finest, every)
                sums[every] = np.zeros(places[every][0].shape, np.float32)
            sums[every] += self._octave(k, wavelength, amplitude, *places[every])
            variance += amplitude**2 * CUBIC_VARIANCE
        total = np.zeros((grid.height, grid.width), np.float32)
        for every, part in sums.items():
            rows, columns = part.shape
            fine = part if every == 1 else cv2.resize(part, (columns * every, rows * every))
            total += fine[: grid.height, : grid.width]
        total *= np.float32(1 / np.sqrt(max(variance, 1e-9)))
        return total

    def _places(self, x_m: Grid, y_m: Grid, footprint_m: Grid) -> tuple[Grid, Grid, Grid]:
        """Coordinates along the stretch and across it; binary logarithm of the shortest wavelength, two footprints."""
        x = x_m * np.float32(1 / self.stretch)
        finest = np.log2(2 * footprint_m)
        if np.isfinite(finest).all():
            return x, y_m, finest
        return np.nan_to_num(x), np.nan_to_num(y_m), np.nan_to_num(finest, nan=99.0, posinf=99.0)

    def _octaves(self, finest: Grid) -> Iterator[tuple[int, float, float]]:
        """Number, wavelength and amplitude of the octaves that are long enough for some place."""
        k, wavelength, shortest = 0, self.longest_m, max(self.shortest_m, 2.0 ** float(finest.min()))
        while wavelength >= shortest:
            yield k, wavelength, (wavelength / self.longest_m) ** self.hurst
            k, wavelength = k + 1, wavelength / 2

    def _octave(self, k: int, wavelength: float, amplitude: float, x: Grid, y: Grid, finest: Grid) -> Grid:
        """One octave; it fades out between four and two footprints."""
        shift_x, shift_y = np.random.default_rng((self.seed, k)).uniform(0, LATTICE, 2)
        across, down = (
            _unwrapped(x * np.float32(1 / wavelength), shift_x),
            _unwrapped(y * np.float32(1 / wavelength), shift_y),
        )
        inside = max(float(across.max()), float(down.max())) < 2 * LATTICE - 2
        octave = cv2.remap(
            _lattice(), across, down, cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE if inside else cv2.BORDER_WRAP,  # wrapping takes three times as long
        )  # fmt: skip
        lasting = np.float32(np.log2(wavelength)) - finest
        if float(lasting.min()) < 1:
            octave *= np.clip(lasting, 0, 1)
        octave *= np.float32(amplitude)
        return octave


@lru_cache(maxsize=1)
def _lattice() -> Grid:
    """Unit white noise, the same always, twice along each axis: a seed chooses where in it an octave begins."""
    noise = np.random.default_rng(LATTICE_SEED).standard_normal((LATTICE, LATTICE), dtype=np.float32)
    return np.tile(noise, (2, 2))


def _unwrapped(coordinates: Grid, shift: float) -> Grid:
    """Coordinates in the lattice after a shift, by whole lattices so that the least lies in the first."""
    least = float(coordinates.min()) + shift
    coordinates += np.float32(shift - np.floor((least - 1) / LATTICE) * LATTICE)
    return coordinates


def plane_m(ecef_m: Grid, lat_deg: float, lon_deg: float) -> tuple[Grid, Grid]:
    """Metres east and north (h, w) of places (h, w, 3) around an anchor, azimuthal equidistant."""
    north, east, down = ecef_from_ned(lat_deg, lon_deg).T.astype(np.float32)
    to_plane = np.stack([east, north, -down])
    e, n, up = cv2.split(cv2.transform(ecef_m, to_plane))
    across = np.sqrt(e * e + n * n)
    scale = np.float32(EARTH_RADIUS_M) * np.arctan2(across, up) / np.maximum(across, np.float32(1e-3))
    return (e * scale).astype(np.float32), (n * scale).astype(np.float32)


def white_noise(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit white noise, seeded by ``rng``: OpenCV's generator (one a thread) is three times as fast as numpy's."""
    cv2.setRNGSeed(int(rng.integers(2**31)))
    noise = np.empty((int(np.prod(shape)), 1), np.float32)  # one channel: randn takes a deviation for each
    cv2.randn(noise, 0.0, 1.0)
    return noise.reshape(shape)
