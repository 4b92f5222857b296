"""A frame resampled to the catalogue's constant ground sampling distance, by its rays.

The ground is laid out around the point that the camera's axis meets (onboard/ground_plane.py), image up staying image
up, so that tilt, a wide field and the Earth's curvature leave only place and heading to be found.
"""

import zlib
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.fix import Status
from onboard.geodesy import Array
from onboard.ground_plane import GroundPlane
from onboard.intake import Rejected, forget_sizes
from onboard.nodes import between, nodes
from onboard.patches import PATCH_PX

_INNER_STEP = 4
# Samples of a rectified picture: half as many again as of the ISS camera 40 degrees off nadir.
_MOST_PX = 1 << 22


@dataclass(frozen=True, eq=False)
class Rectified:
    """image (H, W, 3) uint8 RGB; mask (H, W) bool, True where the frame saw the ground; centre_px (x, y): the
    pixel of the point that the camera's axis meets, from which ``plane`` counts."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    gsd_m: float
    centre_px: tuple[float, float]
    plane: GroundPlane

    def ground_m(self, pixels: Array) -> Array:
        """Ground offsets (N, 2) of pixels (N, 2)."""
        return (np.asarray(pixels, np.float64) - self.centre_px) * self.gsd_m


@dataclass(frozen=True, eq=False)
class Rectifier:
    """The resampling of one camera held in one way, made once and used for many frames.

    camera: of the frame; reduced: after INTER_AREA reduction; map_x, map_y: float32 (K·H, K·W) pixels in the reduced
    frame, K samples a side of each output pixel, so that no detail is aliased; mask (H, W).
    """

    camera: Camera
    reduced: Camera
    map_x: NDArray[np.float32]
    map_y: NDArray[np.float32]
    mask: NDArray[np.bool_]
    gsd_m: float
    centre_px: tuple[float, float]
    plane: GroundPlane
    _seal: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_seal", self._checksum())

    def _checksum(self) -> int:
        numbers = repr((self.camera, self.reduced, self.gsd_m, self.centre_px, self.plane)).encode()
        for part in (self.map_x, self.map_y, self.mask):
            numbers += zlib.crc32(part.tobytes()).to_bytes(4, "big")
        return zlib.crc32(numbers)

    def __call__(self, frame: NDArray[np.uint8]) -> Rectified:
        """Rectify a uint8 RGB frame (height, width, 3) of the camera. Raises Rejected (PACK_CORRUPT) once where it
        changed in memory: one bit of ``centre_px`` moves every fix from then on, and all landmarks agree."""
        if self._checksum() != self._seal:
            rectifier.cache_clear()
            forget_sizes()
            raise Rejected(Status.PACK_CORRUPT, "what was kept to rectify frames changed in memory; it is made anew")
        if frame.shape[:2] != (self.reduced.height, self.reduced.width):
            frame = cv2.resize(frame, (self.reduced.width, self.reduced.height), interpolation=cv2.INTER_AREA)
        image = cv2.remap(frame, self.map_x, self.map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if self.map_x.shape != self.mask.shape:
            image = cv2.resize(image, self.mask.shape[::-1], interpolation=cv2.INTER_AREA)
        # A plane of its own: what one has reckoned of itself is in no checksum.
        return Rectified(image, self.mask, self.gsd_m, self.centre_px, replace(self.plane))


@lru_cache(maxsize=4)
def rectifier(camera: Camera, plane: GroundPlane, gsd_m: float) -> Rectifier:
    """The rectifier of a camera before a usable plane; gsd_m: metres per output pixel. Raises Rejected (BAD_FRAME)
    where the camera sees too much ground for it, or too little."""
    focal_px = max(camera.fx, camera.fy)
    # Where the axis meets it, a pixel covers this much ground (root of its area); elsewhere less or more.
    covered_m = plane.slant_m / focal_px / np.sqrt(np.cos(plane.incidence_rad))
    factor = max(1, int(gsd_m / covered_m))
    reduced = camera.resized(max(16, round(camera.width / factor)), max(16, round(camera.height / factor)))

    ground = plane.from_camera(reduced.rays(_outline(reduced)))
    ground = ground[np.isfinite(ground[:, 0])]
    size, centre_px = picture_of(ground, gsd_m)
    nearest_m = plane.to_camera(ground)[:, 2].min(initial=plane.slant_m)
    samples = max(1, int(gsd_m / (factor * nearest_m / focal_px)))
    much = size[0] * size[1] * samples**2 > _MOST_PX
    if much or max(size) < PATCH_PX:
        seen_km = " x ".join(f"{side * gsd_m / 1e3:.0f}" for side in size)
        raise Rejected(
            Status.BAD_FRAME,
            f"from {plane.altitude_m / 1e3:.0f} km, tilted as told, this camera sees {seen_km} km, too "
            f"{'much' if much else 'little'} for {gsd_m:.0f} m a pixel: is the altitude right, and the pack of this "
            "camera?",
        )
    pixels, wrong = _seen(reduced, plane, (nodes(*size) - centre_px) * gsd_m, gsd_m)
    map_x, map_y = (between(part, *size) for part in pixels.T)
    mask = _inside(reduced, map_x, map_y) & (between(wrong, *size) == 0)
    if reduced.mask is not None:
        seen = cv2.remap(reduced.mask.astype(np.uint8), map_x, map_y, cv2.INTER_NEAREST, borderValue=0)
        mask &= seen > 0
    if samples > 1:
        map_x, map_y = (cv2.resize(part, None, fx=samples, fy=samples) for part in (map_x, map_y))
    return Rectifier(camera, reduced, map_x, map_y, mask, gsd_m, centre_px, plane)


def picture_of(ground_m: Array, gsd_m: float) -> tuple[tuple[int, int], tuple[float, float]]:
    """Columns and rows of a picture that holds ground offsets (N, 2) and the aim, and where in it the aim lies."""
    left_up, right_down = ground_m.min(axis=0, initial=0.0), ground_m.max(axis=0, initial=0.0)
    columns, rows = (np.ceil((right_down - left_up) / gsd_m).astype(int) + 1).tolist()
    right, down = (-left_up / gsd_m).tolist()
    return (columns, rows), (right, down)


def _outline(camera: Camera) -> Array:
    """Pixels (N, 2) that tell how far the picture reaches: its rim, and some inside, for where the rim sees too far."""
    rows, columns = np.arange(camera.height, dtype=np.float64), np.arange(camera.width, dtype=np.float64)
    parts = [
        (columns, rows[[0, -1]]), (columns[[0, -1]], rows), (columns[::_INNER_STEP], rows[::_INNER_STEP]),
    ]  # fmt: skip
    return np.concatenate([np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) for x, y in parts])


def _seen(reduced: Camera, plane: GroundPlane, offsets: Array, gsd_m: float) -> tuple[Array, NDArray[np.bool_]]:
    """Pixels (N, 2) of ground offsets (N, 2), and which of them (N,) are not where the camera sees that ground: behind
    it, or folded back into the picture from outside the field by a strong distortion."""
    pixels = np.nan_to_num(reduced.project(plane.to_camera(offsets)))
    back = plane.from_camera(reduced.rays(pixels))
    with np.errstate(invalid="ignore"):
        returns = np.hypot(*(back - offsets).T) < gsd_m
    return pixels, ~returns


def _inside(camera: Camera, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether pixels lie in the picture, to the outer rim of its outermost."""
    right, down = camera.width - 0.5, camera.height - 0.5
    return np.asarray((x >= -0.5) & (x <= right) & (y >= -0.5) & (y <= down))
