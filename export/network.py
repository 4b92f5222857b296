"""The compact network: plain 3x3 convolutions when deployed, with shortcuts while it trains.

Blocks are re-parameterised as in RepVGG (Ding et al., arXiv 2101.03697), with the normalisation on the convolution
and the identity only: what is exported is a chain of convolutions and ReLUs, which INT8 engines run fastest.
The head keeps the layout of the view (which texture lies where), since heading is resolved by turning the frame.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64, 128)
REDUCED = 64


@dataclass(frozen=True)
class NetworkSettings:
    """size: pixels a side of the view, a multiple of 16; span_m: its side on the ground; dim: length of the code;
    turns: how many turns of a frame the search tries."""

    size: int = 64
    span_m: float = 320e3
    dim: int = 64
    turns: int = 16

    def metadata(self) -> dict[str, str]:
        """As written into the model file's metadata_props."""
        return {key: f"{value:g}" for key, value in asdict(self).items()}


class RepBlock(nn.Module):
    """relu(norm(conv3x3(x)) [+ x]); the shortcut where shape allows it. `folded` gives one convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        return torch.relu(y + x if self.shortcut else y)

    def folded(self) -> nn.Sequential:
        """The same function as Conv2d and ReLU, with the statistics of evaluation mode."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        conv = nn.Conv2d(self.conv.in_channels, self.conv.out_channels, kernel, stride, kernel // 2)
        variance, mean = self.norm.running_var, self.norm.running_mean
        assert variance is not None and mean is not None
        gain = self.norm.weight / torch.sqrt(variance + self.norm.eps)
        weight = self.conv.weight * gain[:, None, None, None]
        if self.shortcut:
            diagonal = torch.arange(weight.shape[0])
            weight = weight.clone()
            weight[diagonal, diagonal, kernel // 2, kernel // 2] += 1.0
        assert conv.bias is not None
        with torch.no_grad():
            conv.weight.copy_(weight)
            conv.bias.copy_(self.norm.bias - mean * gain)
        return nn.Sequential(conv, nn.ReLU())


class Network(nn.Module):
    """Views (N, 1, size, size) to codes (N, dim), not normalised to unit length."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        if settings.size % 16:
            raise ValueError(f"size {settings.size} is not a multiple of 16")
        a, b, c, d = WIDTHS
        self.trunk = nn.Sequential(
            RepBlock(1, a, 2, 5), RepBlock(a, b, 2), RepBlock(b, b, 1),
            RepBlock(b, c, 2), RepBlock(c, c, 1), RepBlock(c, c, 1),
            RepBlock(c, d, 2), RepBlock(d, d, 1), RepBlock(d, REDUCED, 1, 1),
        )  # fmt: skip
        self.head = nn.Linear(REDUCED * (settings.size // 16) ** 2, settings.dim)

    def forward(self, views: Tensor) -> Tensor:
        return self.head(self.trunk(views).flatten(1))

    def deployed(self) -> nn.Module:
        """The same function as a plain chain, for export."""
        self.eval()
        return nn.Sequential(*(block.folded() for block in self.trunk), nn.Flatten(1), self.head).eval()  # type: ignore[operator]
