"""Clouds: fractal fields fixed to the ground, with their brightness and their shadows."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import cv2
import numpy as np

from onboard.geodesy import Array, ecef_from_ned
from sim.noise import FractalNoise, plane_m
from sim.view import Grid, NodeGrid, View, strips

if TYPE_CHECKING:
    from sim.look import Look


@dataclass(frozen=True)
class CloudKind:
    """longest_m: of its structure; hurst: smoothness; stretch: longer than wide; warp_m: how far the wind folded it;
    edge: width of the rim in standard deviations of the field; opacity: of its thickest part; height_m; cells: clouds
    form the walls of cells (+1, open cells), their inside (-1, closed cells), or neither (0)."""

    longest_m: float
    hurst: float
    stretch: float
    warp_m: float
    edge: float
    opacity: float
    height_m: float
    cells: int = 0


CLOUD_KINDS = {
    "cumulus": CloudKind(14e3, 0.12, 1.0, 0.0, 0.9, 1.0, 1.5e3),
    "popcorn": CloudKind(4.5e3, 0.2, 1.0, 0.0, 0.9, 0.95, 1.2e3),
    "streets": CloudKind(9e3, 0.2, 4.0, 2e3, 1.0, 0.95, 1.5e3),
    "open cells": CloudKind(45e3, 0.8, 1.0, 0.0, 1.3, 0.95, 1.2e3, 1),
    "closed cells": CloudKind(32e3, 0.8, 1.2, 0.0, 1.3, 0.95, 1.2e3, -1),
    "broken": CloudKind(110e3, 0.22, 1.3, 4e3, 1.3, 1.0, 3e3),
    "front": CloudKind(450e3, 0.33, 1.8, 16e3, 1.6, 1.0, 5e3),
    "sheet": CloudKind(350e3, 0.45, 1.0, 8e3, 1.5, 0.92, 2e3),
    "cirrus": CloudKind(220e3, 0.35, 5.0, 6e3, 1.9, 0.7, 8e3),
}

# Mean and deviation of the absolute value of a standard normal variate, whose zeros are the walls of cells.
_CELL_MEAN, _CELL_DEVIATION = 0.798, 0.603


@dataclass(frozen=True, eq=False)
class CloudLayer:
    """Per pixel (H, W) float32: opacity 0 to 1; reflectance; shadow 0 to 1, of the light that reaches the ground."""

    opacity: Grid
    reflectance: Grid
    shadow: Grid


def cloud_layer(view: View, look: "Look", sun_ecef: Array) -> CloudLayer | None:
    """The clouds of a look as a view sees them, cirrus above the others; None under a clear sky."""
    wanted = (look.cloud_kind, look.cloud_cover, look.cloud_seed), ("cirrus", look.cirrus_cover, look.cloud_seed + 20)
    layers = [
        _one_layer(CLOUD_KINDS[name], cover, seed, view, look, sun_ecef) for name, cover, seed in wanted if cover > 0
    ]
    if len(layers) < 2:
        return layers[0] if layers else None
    return _stacked(*layers)


def _stacked(low: CloudLayer, high: CloudLayer) -> CloudLayer:
    """Two layers as one, seen from above."""
    through = low.opacity * (1 - high.opacity)
    opacity = through + high.opacity
    light = through * low.reflectance + high.opacity * high.reflectance
    return CloudLayer(opacity, light / np.maximum(opacity, np.float32(1e-6)), 1 - (1 - low.shadow) * (1 - high.shadow))


def _one_layer(kind: CloudKind, cover: float, seed: int, view: View, look: "Look", sun_ecef: Array) -> CloudLayer:
    x, y = plane_m(view.ecef_m, look.anchor_lat_deg, look.anchor_lon_deg)
    heading = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    field = _Field(kind, seed, float(heading))
    # The rim begins outside, so that what is asked for is about the mean opacity, not what is touched by any haze.
    threshold = np.float32(_threshold(kind, min(cover, 0.995)) - 0.5 * kind.edge)

    # A shadow lies where the cloud towards the Sun stands in the light; one shift serves the whole frame.
    north, east, down = ecef_from_ned(look.anchor_lat_deg, look.anchor_lon_deg).T @ sun_ecef
    reach_m = kind.height_m / max(-float(down), 0.17)
    here = field.at_pixels(view, x, y, 1)
    here -= threshold
    sunward = field.at_pixels(view, x + np.float32(reach_m * east), y + np.float32(reach_m * north), 2)
    sunward -= threshold

    layer = CloudLayer(*(np.empty(here.shape, np.float32) for _ in range(3)))
    for rows in strips(*here.shape):
        part = CloudLayer(layer.opacity[rows], layer.reflectance[rows], layer.shadow[rows])
        _shade(kind, here[rows], sunward[rows], part)
    if not view.seen.all():
        layer.opacity[~view.seen] = 0
    return layer


def _shade(kind: CloudKind, here: Grid, sunward: Grid, out: CloudLayer) -> None:
    """Fill a layer from the field above its threshold, at a pixel and towards the Sun from it."""
    sharp = np.float32(1 / kind.edge)
    depth = np.maximum(here, 0)
    depth *= sharp
    # What grows with the depth saturates as optical thickness does: no cloud has a flat top.
    out.opacity[:] = _saturated(np.float32(-1.4) * depth * depth, kind.opacity)
    np.multiply(_ramp(sunward * sharp), np.float32(0.75 * kind.opacity), out=out.shadow)
    depth *= np.float32(-0.5)
    # A flank with more cloud on its sunward side is in the shade of it.
    relief = np.clip((here - sunward) * np.float32(0.35), -0.3, 0.3)
    np.multiply(_saturated(depth, 0.52) + np.float32(0.32), relief + 1, out=out.reflectance)


@dataclass(frozen=True)
class _Field:
    """The unit-variance field of one kind of cloud."""

    kind: CloudKind
    seed: int
    heading_rad: float

    def at_pixels(self, view: View, x_m: Grid, y_m: Grid, coarse: int) -> Grid:
        """The field (H, W) of a view, of places in the plane at its nodes."""
        kind, grid, footprint_m = self.kind, view.grid, view.footprint_m
        weather = FractalNoise(self.seed + 4, 600e3, 0.5, shortest_m=50e3)
        fold_m = kind.longest_m / 8
        cos, sin = np.float32(np.cos(self.heading_rad)), np.float32(np.sin(self.heading_rad))
        along: Grid = cos * x_m + sin * y_m
        across: Grid = cos * y_m - sin * x_m
        overcast = grid.at_pixels(np.float32(0.55) * weather(along, across, footprint_m))
        if kind.warp_m:
            finer = _grid_for(fold_m, view)
            along, across, footprint_m = (grid.at_nodes(values, finer) for values in (along, across, footprint_m))
            grid = finer
            bend: Grid = FractalNoise(self.seed + 2, kind.longest_m / 2, 0.8, fold_m)(along, across, footprint_m)
            fold: Grid = FractalNoise(self.seed + 3, kind.longest_m / 2, 0.8, fold_m)(along, across, footprint_m)
            along = along + np.float32(kind.warp_m) * bend
            across = across + np.float32(kind.warp_m) * fold
        noise = FractalNoise(self.seed, kind.longest_m, kind.hurst, stretch=kind.stretch)
        body = noise.at_pixels(grid, along, across, footprint_m, coarse)
        if kind.cells:
            # The walls are of small clouds themselves.
            small = FractalNoise(self.seed + 5, kind.longest_m / 6, 0.15)
            body = (np.float32(_CELL_MEAN) - np.abs(body)) * np.float32(0.8 * kind.cells / _CELL_DEVIATION)
            body += np.float32(0.6) * small.at_pixels(grid, along, across, footprint_m, coarse)
        body *= np.float32(0.835)
        # Weather on the large scale decides where the small clouds stand.
        body += overcast
        return body


def _grid_for(wavelength_m: float, view: View) -> NodeGrid:
    """The sparsest grid that has two nodes a wavelength, but at most one node every second pixel."""
    grid = view.grid
    step, pixel_m = grid.step, float(np.nanmedian(view.footprint_m))
    while step > 2 and 2 * step * pixel_m > wavelength_m:
        step //= 2
    return NodeGrid(grid.height, grid.width, step)


def _threshold(kind: CloudKind, cover: float) -> float:
    """What a field exceeds over a share ``cover`` of the ground."""
    if kind.cells == 0:
        return NormalDist().inv_cdf(1 - cover)
    wall = cover if kind.cells > 0 else 1 - cover
    return kind.cells * (_CELL_MEAN - NormalDist().inv_cdf((1 + wall) / 2)) / _CELL_DEVIATION


def _saturated(exponent: Grid, limit: float) -> Grid:
    """limit * (1 - e^exponent)."""
    return cv2.exp(exponent) * np.float32(-limit) + np.float32(limit)


def _ramp(value: Grid) -> Grid:
    """Smooth step from 0 to 1."""
    t = np.clip(value, 0, 1)
    return t * t * (3 - 2 * t)
