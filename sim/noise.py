"""Fractal noise on the ground: octaves of a random lattice, the same at any camera and any resolution."""

from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array, ecef_from_ned
from sim.view import Grid, NodeGrid

LATTICE = 512  # nodes before an octave repeats itself
LATTICE_SEED = 20180428
# Variance left of unit white noise after cubic interpolation at a random place.
CUBIC_VARIANCE = 0.60
# An octave is smooth: this many points a lattice node, joined by cubics, lose no more than the lattice's own cubics.
POINTS_PER_NODE = 2
COARSEST_PX = 16


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
        total, octaves = np.zeros(x.shape, np.float32), self._octaves(x, y, finest)
        for octave in octaves:
            octave.add_to(total, x, y, octave.fade(finest))
        total *= _unit(octaves)
        return total

    def at_pixels(self, grid: NodeGrid, x_m: Grid, y_m: Grid, footprint_m: Grid, coarse: int = 1) -> Grid:
        """Noise (height, width) of a picture, of places and pixel footprints at its nodes; every octave is evaluated
        as densely as it needs, but at most every ``coarse`` pixels (a power of two)."""
        x, y, finest = self._places(x_m, y_m, footprint_m)
        octaves, least_m = self._octaves(x, y, finest), 2.0 ** float(finest.min()) / 2
        left = deque(octaves)
        total: Grid | None = None
        # From sparse to dense: what is there is drawn out to twice as many points, and finer octaves are added.
        every = COARSEST_PX
        while every >= coarse:
            if total is not None:
                total = _doubled(total, grid, every)
            due = []
            while left and (every == coarse or left[0].wavelength_m >= every * POINTS_PER_NODE * least_m):
                due.append(left.popleft())
            if due:
                places = grid.every(x, every), grid.every(y, every)
                total = np.zeros(places[0].shape, np.float32) if total is None else total
                for octave in due:
                    fade = octave.fade(finest)
                    octave.add_to(total, *places, None if fade is None else grid.every(fade, every))
            every //= 2
        if total is None:
            return np.zeros((grid.height, grid.width), np.float32)
        while every >= 1:
            total = _doubled(total, grid, every)
            every //= 2
        total *= _unit(octaves)
        return total

    def _places(self, x_m: Grid, y_m: Grid, footprint_m: Grid) -> tuple[Grid, Grid, Grid]:
        """Coordinates along the stretch and across it; binary logarithm of the shortest wavelength, two footprints."""
        x = x_m * np.float32(1 / self.stretch)
        finest = np.log2(2 * footprint_m)
        if np.isfinite(finest).all():
            return x, y_m, finest
        return np.nan_to_num(x), np.nan_to_num(y_m), np.nan_to_num(finest, nan=99.0, posinf=99.0)

    def _octaves(self, x: Grid, y: Grid, finest: Grid) -> list["_Octave"]:
        """Those that are long enough for some place, longest first."""
        reach = tuple((float(axis.min()), float(axis.max())) for axis in (x, y))
        k, wavelength, shortest = 0, self.longest_m, max(self.shortest_m, 2.0 ** float(finest.min()))
        octaves = []
        while wavelength >= shortest:
            shifts = np.random.default_rng((self.seed, k)).uniform(0, LATTICE, 2)
            octaves.append(_Octave.of(wavelength, (wavelength / self.longest_m) ** self.hurst, reach, shifts))
            k, wavelength = k + 1, wavelength / 2
        return octaves


@dataclass(frozen=True)
class _Octave:
    """The lattice drawn out to a wavelength. shift_x, shift_y: of the lattice's nodes, such that the places asked for
    begin in the first of its two copies; inside: they end in the second."""

    wavelength_m: float
    amplitude: float
    shift_x: float
    shift_y: float
    inside: bool

    @classmethod
    def of(
        cls, wavelength_m: float, amplitude: float, reach: tuple[tuple[float, float], ...], shifts: Array
    ) -> "_Octave":
        """For places that reach from so far to so far along each axis, metres."""
        moved = [
            float(shift - np.floor((low / wavelength_m + shift - 1) / LATTICE) * LATTICE)
            for shift, (low, _) in zip(shifts, reach)
        ]
        last = max(shift + high / wavelength_m for shift, (_, high) in zip(moved, reach))
        return cls(wavelength_m, amplitude, moved[0], moved[1], inside=last < 2 * LATTICE - 2)

    def fade(self, finest: Grid) -> Grid | None:
        """Its weight, falling from 1 to 0 between four and two footprints; None where it is 1 everywhere."""
        lasting = np.float32(np.log2(self.wavelength_m)) - finest
        return np.clip(lasting, 0, 1) if float(lasting.min()) < 1 else None

    def add_to(self, total: Grid, x: Grid, y: Grid, fade: Grid | None) -> None:
        """Add it at places (h, w) to a sum (h, w)."""
        scale = np.float32(1 / self.wavelength_m)
        across, down = x * scale, y * scale
        across += np.float32(self.shift_x)
        down += np.float32(self.shift_y)
        octave = cv2.remap(
            _lattice(), across, down, cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE if self.inside else cv2.BORDER_WRAP,  # wrapping takes three times as long
        )  # fmt: skip
        if fade is not None:
            octave *= fade
        cv2.scaleAdd(octave, self.amplitude, total, dst=total)


def _unit(octaves: list[_Octave]) -> np.float32:
    """What brings the sum of octaves to unit variance."""
    return np.float32(1 / np.sqrt(max(sum(octave.amplitude**2 for octave in octaves) * CUBIC_VARIANCE, 1e-9)))


def _doubled(values: Grid, grid: NodeGrid, every: int) -> Grid:
    """Values every so many pixels of a picture, of values twice as far apart."""
    rows, columns = values.shape
    fine = cv2.resize(values, (2 * columns, 2 * rows), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(fine[: -(-grid.height // every), : -(-grid.width // every)])


@lru_cache(maxsize=1)
def _lattice() -> Grid:
    """Unit white noise, the same always, twice along each axis: a seed chooses where in it an octave begins."""
    noise = np.random.default_rng(LATTICE_SEED).standard_normal((LATTICE, LATTICE), dtype=np.float32)
    return np.tile(noise, (2, 2))


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
