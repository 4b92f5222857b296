"""Codes made uncorrelated and shorter, so that quantizing them loses little (Jégou and Chum, ECCV 2012)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

# Directions weaker than this share of the strongest are noise: they are not blown up further.
FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class Whitening:
    """Codes (N, D) to normalize((codes - mean) @ matrix), (N, dim); mean (D,), matrix (D, dim) float32."""

    mean: Tensor
    matrix: Tensor

    @classmethod
    def fitted(cls, codes: Tensor, dim: int, power: float) -> "Whitening":
        """The ``dim`` strongest principal directions of codes (N, D), each divided by its deviation to the ``power``:
        0 only turns, 1 gives every direction the same variance."""
        if dim > min(codes.shape):
            raise ValueError(f"{dim} directions cannot be found in {len(codes)} codes of length {codes.shape[1]}")
        codes = codes.double().cpu()
        mean = codes.mean(0)
        variance, directions = torch.linalg.eigh((codes - mean).T @ (codes - mean) / len(codes))
        variance, directions = variance.flip(0)[:dim], directions.flip(1)[:, :dim]
        scale = variance.clamp_min(FLOOR * float(variance[0])).pow(-power / 2)
        return cls(mean.float(), (directions * scale).float())

    def __call__(self, codes: Tensor) -> Tensor:
        return normalize((codes - self.mean.to(codes.device)) @ self.matrix.to(codes.device), dim=1)

    def fold(self, head: nn.Linear) -> None:
        """Make a linear layer of the same length give the whitened codes (before they are normalised)."""
        with torch.no_grad():
            weight, bias = head.weight.cpu().double(), head.bias.cpu().double()
            matrix = self.matrix.double()
            head.weight.copy_((matrix.T @ weight).to(head.weight))
            head.bias.copy_(((bias - self.mean) @ matrix).to(head.bias))
