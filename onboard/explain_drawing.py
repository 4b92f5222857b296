"""The pictures of an explanation: the frame and the map beside it with their pairs, and the world with the places.

The map is the catalogue itself: it knows all land.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.drawing import BAD, FAINT, GOOD, INK, PAPER, Picture, width_of, write, write_beside
from onboard.explain import Explanation, Pairs, Place
from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.landmarks import Catalogue
from onboard.rectify import Rectified
from onboard.verification import offsets_from
from onboard.world_drawing import World

_OUTSIDE, _DISAGREES = (214, 218, 224), (214, 92, 92)
_NUMBERED = 30  # pairs that carry a number; more would hide the picture
_TAG_PX = 26, 18  # a number needs as much room
_CROWDED = 100  # pairs drawn small beyond
_LABELLED = 4  # places of the world map that carry a name
_NAME_APART_RAD = np.radians(8)
_BAR_M = 100e3


@dataclass(frozen=True)
class Grid:
    """How ground offsets become pixels of a panel: those of the rectified frame, enlarged by ``zoom``."""

    width: int
    height: int
    centre_px: tuple[float, float]
    gsd_m: float
    zoom: float

    @classmethod
    def of(cls, rectified: Rectified, width: int, height: int) -> "Grid":
        """Fitted into a box of pixels."""
        rows, columns = rectified.mask.shape
        zoom = min(width / columns, height / rows)
        return cls(round(columns * zoom), round(rows * zoom), rectified.centre_px, rectified.gsd_m, zoom)

    def pixels(self, ground_m: Array) -> Array:
        """Panel pixels (N, 2) of ground offsets (N, 2), metres right and down of the middle of the view."""
        return (ground_m / self.gsd_m + self.centre_px + 0.5) * self.zoom - 0.5


def numbered(at: Array, pairs: Pairs) -> NDArray[np.int64]:
    """Which of the pairs, at pixels (K, 2) of the frame's panel, carry a number in both panels, in order: of those that
    agree the first ones whose numbers do not cover one another."""
    chosen: list[int] = []
    for pair in np.flatnonzero(pairs.agrees):
        off = np.abs(at[chosen] - at[pair])
        if len(chosen) < _NUMBERED and ((off[:, 0] > _TAG_PX[0]) | (off[:, 1] > _TAG_PX[1])).all():
            chosen.append(int(pair))
    return np.array(chosen, np.int64)


def frame_panel(
    rectified: Rectified, grid: Grid, features_m: Array, pairs_m: Array, pairs: Pairs, tags: NDArray[np.int64]
) -> Picture:
    """The rectified frame with its features (N, 2) and its pairs (K, 2), ground offsets in metres; tags: `numbered`."""
    image = cv2.resize(rectified.image, (grid.width, grid.height), interpolation=cv2.INTER_LINEAR)
    seen = cv2.resize(rectified.mask.astype(np.uint8), (grid.width, grid.height), interpolation=cv2.INTER_NEAREST)
    image[seen == 0] = _OUTSIDE
    for x, y in grid.pixels(features_m):
        cv2.circle(image, _fixed(x, y), _fixed_radius(1.2), (250, 220, 60), -1, cv2.LINE_AA, _SHIFT)
    _mark_pairs(image, grid.pixels(pairs_m), pairs, tags)
    return image


def map_panel(
    place: Place, grid: Grid, catalogue: Catalogue, pairs: Pairs, tags: NDArray[np.int64], rectified: Rectified,
    backdrop: Picture | None,
) -> tuple[Picture, int]:  # fmt: skip
    """The catalogue around a place, turned as the frame would show it: each landmark with its orientation, as long as
    it is large. Returns the picture and the number of landmarks in it.

    backdrop: the rendered map of the same grid (`turned_map`), if there is one.
    """
    image = np.full((grid.height, grid.width, 3), 250, np.uint8) if backdrop is None else backdrop.copy()
    reach = np.hypot(grid.width, grid.height) / grid.zoom * grid.gsd_m / EARTH_RADIUS_M
    numbers = np.flatnonzero(catalogue.unit @ place.unit.astype(np.float32) > np.cos(reach))
    offsets, angle_deg = offsets_from(place.unit, place.heading_deg, catalogue, numbers)
    at = grid.pixels(offsets)
    inside = ((at >= 0) & (at < (grid.width, grid.height))).all(axis=1)
    colour = (90, 110, 140) if backdrop is None else (250, 220, 60)
    for (x, y), angle, size in zip(at[inside], np.radians(angle_deg[inside]), catalogue.scale_px[numbers[inside]]):
        way = size * grid.zoom / 2
        cv2.circle(image, _fixed(x, y), _fixed_radius(1.2), colour, -1, cv2.LINE_AA, _SHIFT)
        end = _fixed(x + way * np.cos(angle), y + way * np.sin(angle))
        cv2.line(image, _fixed(x, y), end, colour, 1, cv2.LINE_AA, _SHIFT)
    outline, _ = cv2.findContours(rectified.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for part in outline:
        cv2.polylines(image, [np.round((part + 0.5) * grid.zoom - 0.5).astype(np.int32)], True, FAINT, 1, cv2.LINE_AA)
    _north_and_scale(image, place.heading_deg, grid)
    pairs_m, _ = offsets_from(place.unit, place.heading_deg, catalogue, pairs.landmark)
    _mark_pairs(image, grid.pixels(pairs_m), pairs, tags)
    return image, int(inside.sum())


def turned_map(rgb: Picture, heading_deg: float, grid: Grid) -> Picture:
    """A north-up map (H, W, 3) around a place, at the grid's GSD, as a frame at a heading would show it."""
    cos, sin = np.cos(np.radians(heading_deg)), np.sin(np.radians(heading_deg))
    turn = np.array([[cos, -sin], [sin, cos]]) / grid.zoom
    middle = (np.array(rgb.shape[1::-1]) - 1) / 2
    shift = middle - turn @ ((np.array(grid.centre_px) + 0.5) * grid.zoom - 0.5)
    matrix = np.column_stack([turn, shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(rgb, matrix, (grid.width, grid.height), flags=flags, borderValue=_OUTSIDE)


def world_panel(explanation: Explanation, catalogue: Catalogue, band_deg: tuple[float, float], width: int) -> Picture:
    """The latitude band with every place that was considered."""
    world = World.of(catalogue, band_deg, width)
    picture, pixel = world.picture, world.pixel
    for place in explanation.places[:0:-1]:
        cv2.circle(picture, pixel(place.lat_deg, place.lon_deg), 4, FAINT, 1, cv2.LINE_AA)
    for number, place in reversed(_named(explanation.places)):
        colour = INK if number > 1 else GOOD if explanation.fix else BAD
        at = pixel(place.lat_deg, place.lon_deg)
        cv2.circle(picture, at, 8 if number == 1 else 5, colour, 2, cv2.LINE_AA)
        label = f"{number}" if place.recognised is None else f"{number}: {place.recognised}"
        write_beside(picture, label, at, 11, 15, colour, 600)
    return picture


def _named(places: Sequence[Place]) -> list[tuple[int, Place]]:
    """The first places, by rank, that do not lie on one another: several headings or bins often lead to one place."""
    named: list[tuple[int, Place]] = []
    for number, place in enumerate(places, 1):
        if all(place.unit @ other.unit < np.cos(_NAME_APART_RAD) for _, other in named):
            named.append((number, place))
    return named[:_LABELLED]


_SHIFT = 4  # fractional bits of coordinates, so that marks fall where they belong


def _fixed(x: float, y: float) -> tuple[int, int]:
    return round(x * (1 << _SHIFT)), round(y * (1 << _SHIFT))


def _fixed_radius(radius: float) -> int:
    return round(radius * (1 << _SHIFT))


def _mark_pairs(image: Picture, at: Array, pairs: Pairs, tags: NDArray[np.int64]) -> None:
    """The same colour, and number if it carries one, for the two ends of a pair; pairs that do not agree as red
    crosses."""
    for x, y in at[~pairs.agrees]:
        for way in (-3, 3):
            cv2.line(image, _fixed(x - 3, y - way), _fixed(x + 3, y + way), _DISAGREES, 1, cv2.LINE_AA, _SHIFT)
    agreeing = at[pairs.agrees]
    radius = 5.5 if len(agreeing) <= _CROWDED else 3.0
    for number, (x, y) in reversed(list(enumerate(agreeing, 1))):
        hue = colorsys.hsv_to_rgb(number * 0.61803 % 1, 1.0, 0.95)
        colour = tuple(round(255 * part) for part in hue)
        for thickness, shade in ((4, (0, 0, 0)), (2, colour)):
            cv2.circle(image, _fixed(x, y), _fixed_radius(radius), shade, thickness, cv2.LINE_AA, _SHIFT)
    for number, (x, y) in enumerate(at[tags], 1):
        _tag(image, str(number), (round(x) + 8, round(y) + 5))


def _tag(image: Picture, text: str, at: tuple[int, int]) -> None:
    """Text that can be read on any ground."""
    x, y = at[0], min(max(at[1], 13), image.shape[0] - 3)
    x = min(x, image.shape[1] - width_of(text, 13, 700) - 3)
    cv2.rectangle(image, (x - 2, y - 12), (x + width_of(text, 13, 700) + 1, y + 2), (20, 20, 20), -1)
    write(image, text, (x, y), 13, PAPER, 700)


def _north_and_scale(image: Picture, heading_deg: float, grid: Grid) -> None:
    foot = np.array([36.0, 44.0])
    up = np.array([-np.sin(np.radians(heading_deg)), -np.cos(np.radians(heading_deg))])
    cv2.circle(image, (36, 44), 28, PAPER, -1, cv2.LINE_AA)
    cv2.arrowedLine(image, _fixed(*(foot - 10 * up)), _fixed(*(foot + 12 * up)), INK, 2, cv2.LINE_AA, _SHIFT, 0.4)
    write(image, "N", tuple(np.round(foot + 20 * up + (-4, 5)).astype(int).tolist()), 13, INK, 700)
    long = round(_BAR_M / grid.gsd_m * grid.zoom)
    bottom = grid.height - 16
    if long < grid.width / 2:
        cv2.rectangle(image, (14, bottom - 22), (14 + long + 12, bottom + 10), PAPER, -1)
        cv2.line(image, (20, bottom), (20 + long, bottom), INK, 3)
        write(image, f"{_BAR_M / 1e3:.0f} km", (20, bottom - 6), 13)
