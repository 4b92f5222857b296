"""The descriptor network: a short chain of convolutions on an oriented patch, in the line of L2-Net (Tian, Fan and Wu,
CVPR 2017) at a hundredth of its cost: 1.3 million multiplications a patch."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.model_file import write_model
from onboard.patch_model import normalised
from onboard.patches import PATCH_PX

DIM = 64
_CHANNELS = (16, 32, 32, 64)
_GRID = 4  # side of the last layer's picture


class PatchNet(nn.Module):
    """Patches (N, 1, PATCH_PX, PATCH_PX), normalised, to descriptors (N, DIM), not of unit length."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = _CHANNELS
        self.body = nn.Sequential(
            *_block(1, first, 4, 2), *_block(first, second, 3, 2), *_block(second, third, 3, 1),
            *_block(third, fourth, 3, 2),
        )  # fmt: skip
        self.head = nn.Linear(fourth * _GRID**2, DIM, bias=False)
        # Every dimension of even weight: what product quantization wants, and what keeps them from repeating another.
        self.whiten = nn.BatchNorm1d(DIM, affine=False)

    def forward(self, patches: Tensor) -> Tensor:
        return self.whiten(self.head(self.body(patches).flatten(1)))

    def deployed(self) -> nn.Sequential:
        """The same function in evaluation mode, its normalisations folded into the layers before them."""
        self.eval()
        layers: list[nn.Module] = []
        for at in range(0, len(self.body), 3):
            convolution, norm = self.body[at], self.body[at + 1]
            assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            layers += [torch.nn.utils.fuse_conv_bn_eval(convolution, norm), nn.ReLU()]
        return nn.Sequential(*layers, nn.Flatten(1), self._whitened_head()).eval()

    def _whitened_head(self) -> nn.Linear:
        # By hand: torch's fuse_linear_bn_eval fails on a normalisation without weights.
        mean, variance = self.whiten.running_mean, self.whiten.running_var
        assert mean is not None and variance is not None
        share = torch.rsqrt(variance + self.whiten.eps)
        head = nn.Linear(self.head.in_features, DIM)
        head.weight = nn.Parameter(self.head.weight * share[:, None])
        head.bias = nn.Parameter(-mean * share)
        return head

    def encode(self, patches: NDArray[np.uint8], batch: int = 4096) -> NDArray[np.float32]:
        """Descriptors (N, DIM) float32 of unit length of patches (N, PATCH_PX, PATCH_PX) uint8, in evaluation mode."""
        training = self.training
        self.eval()
        with torch.inference_mode():
            parts = [
                nn.functional.normalize(self(torch.from_numpy(normalised(patches[at : at + batch])))).numpy()
                for at in range(0, len(patches), batch)
            ]
        self.train(training)
        return np.concatenate(parts)


def _block(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def write_descriptor(network: PatchNet, likeness: tuple[float, float], path: Path) -> None:
    """Write the deployed network for `onboard.describer.PatchNetwork`, with its likeness inside."""
    metadata = {"likeness_low": f"{likeness[0]:.4f}", "likeness_high": f"{likeness[1]:.4f}"}
    write_model(network.deployed(), PATCH_PX, ("patches", "descriptors"), metadata, path)
