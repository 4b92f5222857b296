"""The global code of a view: what the network sees, and the network in ONNX Runtime.

The network sees a disc of ground around the nadir, locally normalised, so that light, haze and colour hardly matter
and a turn of the camera is a rotation of the picture. It expects north up to within about half a turn step, and the
middle of the map's view to within some kilometres of its own: a map patch is encoded once, a frame around every point
of a small grid and at every turn step, and the search takes the best (time is paid, not memory).
"""

from functools import lru_cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.errors import PackError
from onboard.network import OnnxNetwork

Float = NDArray  # float32; OpenCV's stubs promise less

# Red with a little blue taken off: of all mixes tried, real near-infrared-sensitive frames and map agree best in
# red, and haze is bluest.
RED, BLUE = 1.3, -0.3
# Gaussian of the local normalisation, as a share of the view's side.
LOCAL_SIGMA = 1 / 12
# Added to the local deviation (grey values): haze leaves a few grey values of texture, sensors and JPEG one.
DEVIATION_FLOOR = 2.0
# Normalised values are clipped here, so that a cloud's edge weighs no more than a river.
CLIP = 2.5
# Pixels with less than this share of seen ground are not seen.
SEEN_SHARE = 0.5
# Keys of the model's metadata_props, all decimal numbers as text.
METADATA = ("span_m", "size", "dim", "turns", "reach_m")
# A place is nowhere farther than this many spacings from the nearest of the staggered cells (`onboard.cells`).
CELL_REACH = 0.625


def luminance(rgb: NDArray[np.uint8]) -> Float:
    """Grey values (H, W) float32 of an RGB picture (H, W, 3) uint8, as the network takes them."""
    # In float, since a byte transform would clip and round.
    return cv2.transform(rgb.astype(np.float32), np.array([[RED, 0.0, BLUE]], np.float32))


def network_view(
    rectified_rgb: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    gsd_m: float,
    centre_px: tuple[float, float],
    span_m: float,
    size: int,
) -> Float:
    """What the network sees of a rectified picture: float32 (1, size, size), locally of zero mean and even contrast.

    rectified_rgb (H, W, 3) uint8 and mask (H, W) bool at gsd_m metres a pixel; centre_px (x, y) is the nadir's pixel.
    The view is the square of side span_m around it under a disc; what the mask hides or lies outside is 0. The
    same function serves frames and map.
    """
    return grey_view(luminance(rectified_rgb), mask, gsd_m, centre_px, span_m, size)


def grey_view(
    grey: Float, mask: NDArray[np.bool_], gsd_m: float, centre_px: tuple[float, float], span_m: float, size: int
) -> Float:
    """`network_view` of grey values (H, W) float32 made by `luminance`."""
    cut = max(8, round(span_m / gsd_m))
    scale = span_m / gsd_m / cut
    # Pixel j of the cut shows input x = centre + (j - (cut - 1) / 2) * scale: half-pixel exact.
    corner = [centre - (cut - 1) / 2 * scale for centre in centre_px]
    affine = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    weight = mask.astype(np.float32)
    # Weighted, so that hidden pixels do not bleed into seen ones; outside the picture the weight is 0.
    both = cv2.merge([grey * weight, weight])
    both = cv2.warpAffine(both, affine, (cut, cut), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    reduced, share = cv2.split(cv2.resize(both, (size, size), interpolation=cv2.INTER_AREA))
    return _normalised(reduced / np.maximum(share, 1e-3), (share > SEEN_SHARE).astype(np.float32))[None]


def _normalised(grey: Float, weight: Float) -> Float:
    """Local mean taken off, divided by the local deviation, under the disc: all (size, size) float32."""
    size = grey.shape[0]

    def blur(values: Float) -> Float:
        return cv2.GaussianBlur(values, (0, 0), LOCAL_SIGMA * size, borderType=cv2.BORDER_CONSTANT)

    share = np.maximum(blur(weight), 1e-3)
    detail = (grey - blur(grey * weight) / share) * weight
    deviation = np.sqrt(blur(detail * detail) / share)
    return np.clip(detail / (deviation + DEVIATION_FLOOR), -CLIP, CLIP) * _disc(size)


@lru_cache(maxsize=4)
def _disc(size: int) -> Float:
    """Window (size, size): 1 inside, falling to 0 over the outer twentieth of the inscribed circle."""
    at = (np.arange(size) - (size - 1) / 2) / (size / 2)
    window = np.clip((1.0 - np.hypot(*np.meshgrid(at, at))) / 0.05, 0, 1).astype(np.float32)
    window.setflags(write=False)
    return window


def turned(view: Float, turns: int) -> Float:
    """A view (1, size, size) at every turn step: (turns, 1, size, size) float32.

    Row k is the view with north up if the camera's up direction has the heading k * 360 / turns degrees.
    """
    picture = view[0]
    half = (picture.shape[0] - 1) / 2
    out = np.empty((turns, *view.shape), np.float32)
    for k in range(turns):
        # OpenCV counts angles anticlockwise; an up direction towards the east belongs on the right.
        matrix = cv2.getRotationMatrix2D((half, half), -360.0 * k / turns, 1.0)
        out[k, 0] = cv2.warpAffine(picture, matrix, picture.shape[::-1], flags=cv2.INTER_LINEAR)
    return out


def moves_m(spacing_m: float, reach_m: float) -> NDArray[np.float64]:
    """Ground offsets (K, 2), right and down, around which a frame is looked at: steps of twice ``reach_m``, as far as
    the nearest of cells ``spacing_m`` apart can lie from its nadir."""
    farthest_m = CELL_REACH * spacing_m
    reach_m = min(reach_m, farthest_m)
    across = int(np.ceil(farthest_m / reach_m))
    at = (np.arange(across) - (across - 1) / 2) * 2 * reach_m
    grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    return grid[np.hypot(*grid.T) <= farthest_m + reach_m / 2]


class ViewEncoder(Protocol):
    """What gives views codes. span_m: side of the view on the ground; size: its pixels a side; dim: length of a code;
    turns: how many turns of a frame cover the circle; reach_m: how far the middles of two views of a place may lie
    apart."""

    span_m: float
    size: int
    dim: int
    turns: int
    reach_m: float

    def encode(self, views: Float) -> Float:
        """Codes (N, dim) float32 of unit length of views (N, 1, size, size)."""
        ...


def frame_codes(
    encoder: ViewEncoder,
    grey: Float,
    mask: NDArray[np.bool_],
    gsd_m: float,
    centre_px: tuple[float, float],
    spacing_m: float,
) -> Float:
    """Codes (K * turns, dim) of a frame, as of `grey_view`, for the search among cells ``spacing_m`` apart: around each
    of K `moves_m`, row k * turns + t supposing the heading t * 360 / turns degrees."""
    centres = np.array(centre_px) + moves_m(spacing_m, encoder.reach_m) / gsd_m
    return np.concatenate(
        [
            encoder.encode(turned(grey_view(grey, mask, gsd_m, (x, y), encoder.span_m, encoder.size), encoder.turns))
            for x, y in centres.tolist()
        ]
    )


class Encoder:
    """A `ViewEncoder`: a network file in ONNX Runtime. Raises PackError when it is unreadable or lacks its metadata."""

    def __init__(self, model: str | Path | bytes, threads: int = 2) -> None:
        name = "the network" if isinstance(model, bytes) else str(model)
        self._network = OnnxNetwork(model, threads, name)
        metadata = self._network.metadata
        try:
            span_m, size, dim, turns, reach_m = (float(metadata[key]) for key in METADATA)
        except (KeyError, ValueError) as error:
            raise PackError(
                f"{name}: its metadata lacks {error}; networks made by 'nadir export' carry {', '.join(METADATA)}"
            ) from error
        self.span_m, self.size, self.dim, self.turns, self.reach_m = span_m, int(size), int(dim), int(turns), reach_m
        wanted, found = ((1, self.size, self.size), self.dim), (self._network.input_shape, self._network.dim)
        if found != wanted or min(self.size, self.dim, self.turns) < 1 or not (span_m > 0 and reach_m > 0):
            raise PackError(f"{name}: its shapes {found} are not those of its metadata {wanted}")

    def encode(self, views: Float) -> Float:
        """Codes (N, dim) float32 of unit length of views (N, 1, size, size)."""
        codes = self._network.run(np.ascontiguousarray(views, np.float32))
        return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-9)
