"""Looks: what a camera might see of a place, rendered anew for every training step.

A look differs from the map by everything a frame differs by: heading, offset, tilt and scale; season, snow,
near-infrared response; haze, cloud and its shadow; water that glints; blur, noise and a porthole, told or not.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.earth import Earth, node_grid
from export.noise import Noise, smoothstep
from onboard.encoder import grey_view
from onboard.geodesy import destination

Float = NDArray  # float32; OpenCV's stubs promise less

# Rendered pixels per pixel of the view.
OVERSAMPLE = 4 / 3
SCALE_ERROR = 0.07
# Keystone: how much the scale changes from the middle to the edge, at most.
KEYSTONE = 0.05
# How far from a view's middle that of the frame may lie, in half sides: the search looks around the nadir.
ASIDE = 0.35
# Few cameras come with a mask: so often nobody tells that a window's rim is no ground.
UNTOLD_RIM = 0.7


@dataclass(frozen=True, eq=False)
class Picture:
    """Ground before it becomes a view, so that networks of different sizes can look at the same: grey (H, W) float32,
    mask (H, W) bool, True where seen, gsd_m, centre_px (x, y). The view is turned as if the camera's up direction had
    the heading turn_deg where the picture's is north."""

    grey: Float
    mask: NDArray[np.bool_]
    gsd_m: float
    centre_px: tuple[float, float]
    turn_deg: float = 0.0

    def view(self, span_m: float, size: int) -> Float:
        """What a network of this span and size sees: (1, size, size) float32 (`onboard.encoder.grey_view`)."""
        view = grey_view(self.grey, self.mask, self.gsd_m, self.centre_px, span_m, size)
        if self.turn_deg:
            # A view is a disc, so that turning it loses nothing (`onboard.encoder.turned` is the inverse).
            matrix = cv2.getRotationMatrix2D(((size - 1) / 2,) * 2, self.turn_deg, 1.0)
            view = np.asarray(cv2.warpAffine(view[0], matrix, (size, size), flags=cv2.INTER_LINEAR))[None]
        return view


@dataclass(frozen=True, eq=False)
class Studio:
    """Renders pictures for views of size x size pixels, span_m a side, from an Earth in memory."""

    earth: Earth
    noise: Noise
    span_m: float
    size: int

    @property
    def _render_px(self) -> int:
        return round(self.size * OVERSAMPLE)

    @property
    def gsd_m(self) -> float:
        return self.span_m / self._render_px

    def map_view(self, lat_deg: float, lon_deg: float, heading_deg: float = 0.0) -> Float:
        """The map as it is: (1, size, size) float32."""
        return self.map_picture(lat_deg, lon_deg, heading_deg).view(self.span_m, self.size)

    def look_view(
        self, rng: np.random.Generator, lat_deg: float, lon_deg: float, heading_deg: float, max_offset_m: float
    ) -> Float:
        """A look within max_offset_m of a place, image up towards heading_deg: (1, size, size) float32."""
        return self.look_picture(rng, lat_deg, lon_deg, heading_deg, max_offset_m).view(self.span_m, self.size)

    def map_picture(self, lat_deg: float, lon_deg: float, heading_deg: float = 0.0) -> Picture:
        """The map as it is."""
        n = self._render_px
        grey, _, _ = self.earth.sample(*node_grid(lat_deg, lon_deg, n, self.gsd_m, heading_deg), n)
        return self._picture(grey)

    def dated_picture(
        self, rng: np.random.Generator, lat_deg: float, lon_deg: float, heading_deg: float, max_offset_m: float
    ) -> Picture:
        """The map within max_offset_m of a place on another date: season, vegetation, ground and water changed, the
        sky clear."""
        return self._picture(self._land(rng, lat_deg, lon_deg, heading_deg, max_offset_m, np.eye(3)))

    def look_picture(
        self, rng: np.random.Generator, lat_deg: float, lon_deg: float, heading_deg: float, max_offset_m: float,
        aside: float = ASIDE,
    ) -> Picture:  # fmt: skip
        """A look within max_offset_m of a place, image up towards heading_deg; aside: how far from its middle the
        frame's own may lie, in half sides."""
        grey = self._sky(rng, self._land(rng, lat_deg, lon_deg, heading_deg, max_offset_m, None))
        frame, window = porthole(rng, self._render_px, aside)
        if rng.uniform() < UNTOLD_RIM:
            shown = cv2.GaussianBlur(window.astype(np.float32), (0, 0), rng.uniform(0.7, 3.0))
            grey = grey * shown + rng.uniform(0, 25) * (1 - shown)
        else:
            frame &= window
        return self._picture(_sensor(rng, grey), frame)

    def _land(
        self, rng: np.random.Generator, lat_deg: float, lon_deg: float, heading_deg: float, max_offset_m: float,
        warp: NDArray | None,
    ) -> NDArray:  # fmt: skip
        """The ground near a place under a clear sky; without ``warp`` as a camera that is a little off sees it."""
        n = self._render_px
        lat, lon = destination(lat_deg, lon_deg, rng.uniform(0, 360), max_offset_m * np.sqrt(rng.uniform()))
        warp = _warp(rng) if warp is None else warp
        nodes = node_grid(float(lat), float(lon), n, self.gsd_m, heading_deg, warp)
        grey, vegetation, land = self.earth.sample(*nodes, n)
        if self.earth.seasons and rng.uniform() < 0.6:
            month = int(rng.integers(len(self.earth.seasons)))
            ratio = self.earth.season(month, *nodes, n)
            grey = (grey + 12) * np.exp(rng.uniform(0.2, 1.2) * ratio) - 12
        return self._ground(rng, grey, vegetation, land)

    def _ground(self, rng: np.random.Generator, grey: NDArray, vegetation: Float, land: Float) -> NDArray:
        n = self._render_px
        # Near-infrared in the red channel: leaves are bright there; in the extreme they outshine bare soil.
        leak = rng.uniform(0, 0.25) if rng.uniform() < 0.5 else rng.uniform(0.25, 1.0)
        grey = grey + leak * vegetation * rng.uniform(40, 90)
        grey = 255 * np.power(np.clip(grey / 255, 0, 1), rng.uniform(0.7, 1.4))
        # Fields, burns and rain that the map's month does not know.
        if rng.uniform() < 0.5:
            patches = self.noise.draw(rng, n, rng.uniform(0.5, 4), rng.uniform(1, 2))
            grey = grey * (1 + rng.uniform(0.05, 0.35) * (patches - 0.5))
        if rng.uniform() < 0.08:
            cover = self.noise.draw(rng, n, rng.uniform(1, 4), 1.0, (1, 4))
            snow = smoothstep(cover, 1 - rng.uniform(0.1, 0.7), 1.05) * rng.uniform(0.5, 1)
            grey = grey * (1 - snow) + snow * rng.uniform(170, 250)
        water = np.full_like(grey, rng.uniform(0, 45))
        if rng.uniform() < 0.25:
            bright = self.noise.draw(rng, n, rng.uniform(4, 10), rng.uniform(1, 3), (2, 4))
            water += rng.uniform(10, 150) * bright
        return grey * land + water * (1 - land)

    def _sky(self, rng: np.random.Generator, grey: NDArray) -> NDArray:
        n = self._render_px
        clear = rng.uniform(0.3, 1.0)
        airlight = rng.uniform(60, 150)
        if rng.uniform() < 0.4:
            veil = self.noise.draw(rng, n, rng.uniform(2, 8), rng.uniform(1, 5), (2, 4)) * rng.uniform(0.1, 0.6)
            grey = grey * (1 - veil) + veil * rng.uniform(120, 220)
        kind = rng.uniform()
        for _ in range(0 if kind < 0.3 else 1 if kind < 0.75 else 2):
            cover = rng.uniform(0.02, 0.3) if rng.uniform() < 0.65 else rng.uniform(0.3, 0.65)
            field = self.noise.draw(rng, n, float(np.exp(rng.uniform(-1.2, 1.2))), float(np.exp(rng.uniform(0, 1.6))))
            if rng.uniform() < 0.7:  # clouds gather: a broad field modulates the fine one
                broad = self.noise.draw(rng, n, rng.uniform(2, 8), rng.uniform(1, 3), (2, 4))
                field = 0.5 * (field + broad)
            soft = rng.uniform(0.06, 0.5)
            threshold = float(np.quantile(field[::4, ::4], 1 - cover))
            alpha = smoothstep(field, threshold, threshold + soft) * rng.uniform(0.5, 1.0)
            dark = np.roll(alpha, (int(rng.integers(-2, 3)), int(rng.integers(-2, 3))), (0, 1))
            grey = grey * (1 - rng.uniform(0, 0.6) * dark)
            grey = grey * (1 - alpha) + alpha * rng.uniform(170, 255)
        return grey * clear + airlight * (1 - clear)

    def _picture(self, grey: NDArray, mask: NDArray[np.bool_] | None = None) -> Picture:
        centre = (self._render_px - 1) / 2
        seen = np.ones(grey.shape, bool) if mask is None else mask
        return Picture(grey.astype(np.float32), seen, self.gsd_m, (centre, centre))


def _warp(rng: np.random.Generator) -> NDArray:
    """Homography of a slightly wrong scale, aspect and tilt, on offsets in half sides."""
    warp = np.eye(3)
    warp[:2, :2] *= 1 + rng.uniform(-SCALE_ERROR, SCALE_ERROR)
    warp[:2, :2] += rng.uniform(-0.02, 0.02, (2, 2))
    warp[2, :2] = rng.uniform(-KEYSTONE, KEYSTONE, 2)
    return warp


def _sensor(rng: np.random.Generator, grey: NDArray) -> NDArray:
    """Blur, a light falling off towards a side, noise, bytes."""
    n = grey.shape[0]
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), rng.uniform(0.3, 1.1)).astype(np.float32)
    ramp = np.linspace(-0.5, 0.5, n, dtype=np.float32)
    slope = rng.uniform(-0.25, 0.25, 2).astype(np.float32)
    grey = grey * (1 + slope[0] * ramp[:, None] + slope[1] * ramp[None])
    grey = grey + 1.5 * rng.uniform(0.1, 1.0) ** 2 * rng.standard_normal((n, n), np.float32)
    return np.clip(grey, 0, 255)


def porthole(rng: np.random.Generator, size_px: int, aside: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What a frame sees of the view's square, (size_px, size_px) each: where a wide picture of any heading reaches, its
    middle up to ``aside`` half sides off; and what of that a round window and a box of text leave to be seen."""
    at = (np.arange(size_px, dtype=np.float32) - (size_px - 1) / 2) / (size_px / 2)
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    aside_x, aside_y = rng.uniform(-aside, aside, 2).astype(np.float32)
    across = cos * at[None] + sin * at[:, None] - aside_x
    along = cos * at[:, None] - sin * at[None] - aside_y
    half_height = rng.uniform(0.85, 1.2)
    frame = np.abs(along) < half_height
    window = np.ones_like(frame)
    if rng.uniform() < 0.8:
        off_x, off_y, radius = rng.uniform(-0.25, 0.25), rng.uniform(-0.12, 0.12), rng.uniform(0.95, 1.3)
        window = (across - off_x) ** 2 + (along - off_y) ** 2 < radius**2
    if rng.uniform() < 0.5:
        left, top = rng.uniform(-0.9, 0.3), rng.uniform(-half_height, -0.7)
        box = (across > left) & (across < left + rng.uniform(0.1, 0.6)) & (along < top + rng.uniform(0.0, 0.3))
        window &= ~box
    return frame, window
