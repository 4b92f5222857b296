"""The compact network: edges and ridges, two re-parameterised blocks, a soft grid, one linear layer.

It starts as a classical descriptor (oriented edges, ridges and blobs pooled over an 8 x 8 grid, in the line of HOG:
Dalal and Triggs, CVPR 2005) whose linear layer is solved in closed form (export/discriminant.py), and learns from
there. The blocks are re-parameterised as in RepVGG (Ding et al., arXiv 2101.03697), with the normalisation on the
convolution and a plain identity: what is exported is a chain of convolutions and ReLUs, which INT8 engines run fast.
The grid keeps the layout of the view (what lies where), since heading is resolved by turning the frame.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from export.scenes import REACH_M
from export.trainer import TrainingError

STEM_PX = 13
DESIGNED = 32  # channels of the stem that are derivatives of Gaussians; further ones start at random
# The pooling window of a grid point, in pixels of the half-size picture, at a stride of 4.
POOL_PX, POOL_SIGMA = 12, 2.5


@dataclass(frozen=True)
class NetworkSettings:
    """size: pixels a side of the view, a multiple of 8; span_m: its side on the ground; dim: length of the code;
    turns: how many turns of a frame the search tries; channels of every layer, at least 32; blocks: how many;
    reach_m: as `onboard.encoder.ViewEncoder` has it. Raises TrainingError for a network that cannot be."""

    size: int = 56
    span_m: float = 280e3
    dim: int = 256
    turns: int = 24
    channels: int = 32
    blocks: int = 2
    reach_m: float = REACH_M

    def __post_init__(self) -> None:
        if self.size % 8:
            raise TrainingError(f"views of {self.size} pixels a side: give a --size that is a multiple of 8")
        if self.channels < DESIGNED:
            raise TrainingError(f"{self.channels} channels: give at least --channels {DESIGNED}, which are designed")
        if self.dim > self.features:
            raise TrainingError(
                f"codes of {self.dim} numbers cannot be told from {self.features}, which are all that a view of "
                f"{self.size} pixels becomes: give at most --dim {self.features}, or a larger --size"
            )

    @property
    def features(self) -> int:
        """Numbers of a view that the linear layer sees: a grid point for 8 x 8 pixels, in every channel."""
        return self.channels * (self.size // 8) ** 2

    def metadata(self) -> dict[str, str]:
        """As written into the model file's metadata_props."""
        return {key: f"{value:g}" for key, value in asdict(self).items()}


class RepBlock(nn.Module):
    """relu(x + norm(conv3x3(x))), at first the identity of what is not negative; `folded` gives one convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.conv(x)))

    @property
    def idle(self) -> bool:
        """Whether it still is the identity, as it is before any step: then it need not be exported."""
        return not bool(torch.any(self.norm.weight != 0) or torch.any(self.norm.bias != 0))

    def folded(self) -> nn.Sequential:
        """The same function as Conv2d and ReLU, with the statistics of evaluation mode."""
        conv = nn.Conv2d(self.conv.in_channels, self.conv.out_channels, 3, padding=1)
        variance, mean = self.norm.running_var, self.norm.running_mean
        assert variance is not None and mean is not None and conv.bias is not None
        gain = self.norm.weight / torch.sqrt(variance + self.norm.eps)
        with torch.no_grad():
            conv.weight.copy_(self.conv.weight * gain[:, None, None, None])
            diagonal = torch.arange(conv.out_channels)
            conv.weight[diagonal, diagonal, 1, 1] += 1.0
            conv.bias.copy_(self.norm.bias - mean * gain)
        return nn.Sequential(conv, nn.ReLU())


class Network(nn.Module):
    """Views (N, 1, size, size) to codes (N, dim), not normalised to unit length."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.stem = nn.Conv2d(1, channels, STEM_PX, stride=2, padding=STEM_PX // 2)
        self.blocks = nn.Sequential(*(RepBlock(channels) for _ in range(settings.blocks)))
        # Even kernel and this padding put the grid points symmetrically.
        self.pool = nn.Conv2d(channels, channels, POOL_PX, stride=4, padding=(POOL_PX - 4) // 2, groups=channels)
        self.head = nn.Linear(settings.features, settings.dim)
        with torch.no_grad():
            designed = torch.from_numpy(stem_kernels())[:, None]
            weight = self.stem.weight
            weight *= 2 / weight.abs().sum((1, 2, 3), keepdim=True)
            weight[:DESIGNED] = designed
            for layer in (self.stem, self.pool):
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            window = torch.from_numpy(_gaussian(POOL_PX, POOL_SIGMA, total=1.0))
            self.pool.weight.copy_(window.expand_as(self.pool.weight))

    def features(self, views: Tensor) -> Tensor:
        """What the linear layer sees: (N, channels * (size / 8)^2)."""
        return self.pool(self.blocks(torch.relu(self.stem(views)))).flatten(1)

    def forward(self, views: Tensor) -> Tensor:
        return self.head(self.features(views))

    def deployed(self) -> nn.Module:
        """The same function as a plain chain in evaluation mode, for export."""
        self.eval()
        blocks = [block.folded() for block in self.blocks if isinstance(block, RepBlock) and not block.idle]
        return nn.Sequential(self.stem, nn.ReLU(), *blocks, self.pool, nn.Flatten(1), self.head).eval()


def cost(network: Network, size: int) -> tuple[int, float]:
    """Parameters, and floating-point operations a view (a multiplication and an addition count as two)."""
    operations = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal operations
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        operations += 2 * layer.weight[0].numel() * output[0].numel()

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, 1, size, size, device=network.head.weight.device))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return sum(parameter.numel() for parameter in network.parameters()), float(operations)


def stem_kernels() -> np.ndarray:
    """First and second derivatives of Gaussians and a blob, (DESIGNED, STEM_PX, STEM_PX) float32, absolute sum 2."""
    at = np.arange(STEM_PX) - (STEM_PX - 1) / 2
    x, y = np.meshgrid(at, at)
    kernels = []
    for sigma in (1.2, 2.4):
        for angle in np.arange(8) * np.pi / 4:
            kernels.append((x * np.cos(angle) + y * np.sin(angle)) * _gaussian(STEM_PX, sigma))
    for sigma, count in ((1.5, 4), (2.8, 3)):
        for angle in np.arange(count) * np.pi / count:
            across = x * np.cos(angle) + y * np.sin(angle)
            ridge = (across**2 / sigma**2 - 1) * _gaussian(STEM_PX, sigma)
            kernels += [ridge - ridge.mean(), ridge.mean() - ridge]
    kernels += [_gaussian(STEM_PX, 2.0), -_gaussian(STEM_PX, 2.0)]
    return np.stack([2 * kernel / np.abs(kernel).sum() for kernel in kernels]).astype(np.float32)


def _gaussian(size: int, sigma: float, total: float | None = None) -> np.ndarray:
    at = np.arange(size) - (size - 1) / 2
    window = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * sigma**2))
    return (window if total is None else window * (total / window.sum())).astype(np.float32)
