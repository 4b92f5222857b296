"""What stands before the camera: the Earth, a world that is not the Earth, or no world at all."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from sim.cratered_plain import CrateredPlain
from sim.ocean import OceanMask
from sim.renderer import Observation, Renderer
from sim.scenario import EARTH, Shot
from sim.texture import Mosaic
from sim.worlds import MirroredMosaic, MirroredSea, NoSea, PaintedMosaic, RepeatedMosaic, WrinkledWorld

MIRRORED, CRATERED, WRINKLED = "mirrored map", "cratered plain", "wrinkled world"
REPEATED, PAINTED, FLIPPED = "repeated patch", "painted sea floor", "mirrored picture"
NOISE, UNIFORM, CHECKERBOARD, BARS = "noise", "one colour", "checkerboard", "colour bars"
STRIPES = "damaged frame"
# Of these, what is at a place is what the map shows at the opposite longitude.
SHOWN_MIRRORED = (MIRRORED, REPEATED)


def shows_earth(subject: str) -> bool:
    """Whether a fix from such a frame can be right at all."""
    return subject in (EARTH, STRIPES)


class Studio:
    """One camera before any subject."""

    def __init__(self, camera: Camera, mosaic: Mosaic, ocean: OceanMask | None = None) -> None:
        self.camera = camera
        self._earth = Renderer(camera, mosaic, ocean)

    def observe(self, shot: Shot) -> Observation:
        """The frame of a shot, and what it shows."""
        rng = shot.noise()
        if shot.subject in _PATTERNS:
            shape = (self.camera.height, self.camera.width, 3)
            return Observation(_PATTERNS[shot.subject](shape, rng), 0.0, 0.0, 0.0, 0.0)
        renderer = self._renderer(shot)
        seen = renderer.observe(shot.position_ecef_m, shot.ecef_from_cam, shot.sun_ecef, shot.look, rng)
        if shot.subject == STRIPES:
            return replace(seen, frame=_damaged(seen.frame, rng))
        if shot.subject == FLIPPED:
            return replace(seen, frame=self._flipped(seen.frame))
        return seen

    def _renderer(self, shot: Shot) -> Renderer:
        earth = self._earth
        if shot.subject == MIRRORED:
            return earth.over(MirroredMosaic(earth.mosaic), MirroredSea(earth.ocean))
        if shot.subject == REPEATED:
            # The place that was drawn to be looked at, which the weather hangs on: a tilted camera hangs beside it.
            place = shot.look.anchor_lat_deg, shot.look.anchor_lon_deg
            patch = RepeatedMosaic(MirroredMosaic(earth.mosaic), *place)
            return earth.over(patch, NoSea())
        if shot.subject == PAINTED:
            return earth.over(PaintedMosaic(earth.mosaic), NoSea())
        if shot.subject == CRATERED:
            return earth.over(self._craters, NoSea())
        if shot.subject == WRINKLED:
            return earth.over(WrinkledWorld(), NoSea())
        return earth

    def _flipped(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Left and right of the world exchanged, as by a mirror before the lens: the mask stays where it is."""
        mask = self.camera.mask
        flipped = np.ascontiguousarray(frame[:, ::-1])
        return flipped if mask is None else np.where(mask[..., None], flipped, frame)

    @cached_property
    def _craters(self) -> CrateredPlain:
        return CrateredPlain()


Shape = tuple[int, int, int]


def _noise(shape: Shape, rng: np.random.Generator) -> NDArray[np.uint8]:
    """White or, as often, smooth: blocks of a random size blurred into one another."""
    import cv2

    block = int(rng.choice([1, 1, 4, 12, 40]))
    small = rng.integers(0, 256, (shape[0] // block + 2, shape[1] // block + 2, 3), dtype=np.uint8)
    picture = cv2.resize(small, None, fx=block, fy=block, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(picture[: shape[0], : shape[1]].astype(np.uint8))


def _uniform(shape: Shape, rng: np.random.Generator) -> NDArray[np.uint8]:
    return np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), shape).copy()


def _checkerboard(shape: Shape, rng: np.random.Generator) -> NDArray[np.uint8]:
    side = int(rng.integers(6, 80))
    rows, columns = np.indices(shape[:2]) // side
    level = np.where((rows + columns) % 2, rng.integers(150, 256), rng.integers(0, 100)).astype(np.uint8)
    return np.repeat(level[..., None], 3, axis=-1)


def _bars(shape: Shape, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Eight bars over a grey wedge, as cameras send to test a link."""
    colours = np.array([[r, g, b] for r in (191, 0) for g in (191, 0) for b in (191, 0)], np.uint8)
    bar = np.arange(shape[1]) * 8 // shape[1]
    picture = np.repeat(rng.permutation(colours)[bar][None], shape[0], axis=0)
    picture[shape[0] * 3 // 4 :] = np.linspace(0, 255, shape[1]).astype(np.uint8)[:, None]
    return picture


def _damaged(frame: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Bands of rows shifted sideways, lost or replaced by noise, as a broken read-out leaves them."""
    damaged = frame.copy()
    row = 0
    while row < len(frame):
        band = slice(row, row + int(rng.integers(2, 33)))
        fate = rng.random()
        if fate < 0.45:
            damaged[band] = np.roll(frame[band], int(rng.integers(frame.shape[1])), axis=1)
        elif fate < 0.6:
            damaged[band] = 0
        elif fate < 0.75:
            damaged[band] = rng.integers(0, 256, damaged[band].shape, dtype=np.uint8)
        row = band.stop
    return damaged


_PATTERNS = {NOISE: _noise, UNIFORM: _uniform, CHECKERBOARD: _checkerboard, BARS: _bars}
