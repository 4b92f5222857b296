"""The orientation network: how well each direction would serve a keypoint, by convolutions around the circle.

A patch is resampled along BINS rays first, so that turning it shifts the columns and no more, and convolutions over a
ring of columns do the same to an answer as to a question: equivariance is built in instead of learned (polar sampling:
Esteves et al., Polar Transformer Networks, ICLR 2018). The ring is opened once, with as many rays more at both ends as
all convolutions together look aside: to close it again before each of them takes longer than to compute those again.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from export.model_file import write_model
from onboard.orientation import BINS
from onboard.patches import PATCH_PX

_RADII_PX = np.linspace(1.5, 15.0, 10)
# Channels, and the kernel's rings and rays, layer by layer; a stride of two from ring to ring while there are many.
_LAYERS = ((8, 3, 3, 2), (16, 3, 5, 2), (24, 3, 5, 2), (32, 2, 3, 1), (32, 1, 7, 1))
_ASIDE = sum(rays // 2 for _, _, rays, _ in _LAYERS)
_CORNERS = 4  # pixels between which a point of a ray lies


class OrientationNet(nn.Module):
    """Patches (N, 1, PATCH_PX, PATCH_PX), normalised, not turned, to log likelihoods (N, BINS), of mean zero."""

    def __init__(self) -> None:
        super().__init__()
        pixel, share = _ray_points()
        self.pixel: Tensor
        self.share: Tensor
        self.register_buffer("pixel", torch.from_numpy(pixel), persistent=False)
        self.register_buffer("share", torch.from_numpy(share), persistent=False)
        layers: list[nn.Module] = []
        inputs = 1
        for outputs, rings, rays, stride in _LAYERS:
            layers.append(_Ring(inputs, outputs, rings, rays, stride))
            inputs = outputs
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(inputs, 1, 1)
        # What all directions share says nothing; written as a product, which every runtime has.
        self.level: Tensor
        self.register_buffer("level", torch.eye(BINS) - 1 / BINS, persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        # Pixels of all patches side by side: ONNX Runtime gathers rows several times as fast as single numbers.
        corners = patches.flatten(1).t().index_select(0, self.pixel) * self.share[:, None]
        points = corners.reshape(_CORNERS, len(_RADII_PX) * (BINS + 2 * _ASIDE), -1).sum(dim=0)
        rings = points.t().reshape(-1, 1, len(_RADII_PX), BINS + 2 * _ASIDE)
        return self.head(self.body(rings)).flatten(1) @ self.level


class _Ring(nn.Module):
    """A convolution over rings and rays, normalised and rectified; rays // 2 fewer at both ends come out."""

    def __init__(self, inputs: int, outputs: int, rings: int, rays: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, (rings, rays), (stride, 1), (rings // 2 if rings % 2 else 0, 0))
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, rings: Tensor) -> Tensor:
        return torch.relu(self.norm(self.convolution(rings)))


def _ray_points() -> tuple[np.ndarray, np.ndarray]:
    """Which pixels (4 · rings · rays,) int64 of a patch, corner by corner, lie around the points of the rays, clockwise
    from _ASIDE before +x to as many after a whole turn, and their bilinear shares, float32."""
    direction = np.arange(-_ASIDE, BINS + _ASIDE) * 2 * np.pi / BINS
    middle = (PATCH_PX - 1) / 2
    x, y = (middle + np.outer(_RADII_PX, part).ravel() for part in (np.cos(direction), np.sin(direction)))
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    pixel, share = [], []
    for right, share_x in ((0, column + 1 - x), (1, x - column)):
        for down, share_y in ((0, row + 1 - y), (1, y - row)):
            pixel.append((row + down) * PATCH_PX + column + right)
            share.append(share_x * share_y)
    return np.concatenate(pixel), np.concatenate(share).astype(np.float32)


def write_orientation(network: OrientationNet, path: Path) -> None:
    """Write the network for `onboard.orientation.OrientationNetwork`."""
    write_model(network.eval(), PATCH_PX, ("patches", "directions"), {}, path)
