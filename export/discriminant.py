"""The linear layer in closed form: directions in which map and look of a place agree and places differ.

The eigenproblem of canonical correlation with one projection for both sides (they are views of the same kind):
B u = w (B + W + r I) u, with B the covariance between map and look, W that of half their difference, r a ridge. A
direction of correlation w carries evidence w / (1 - w^2), the weight of the two-Gaussian likelihood ratio (as in
probabilistic linear discriminant analysis, Prince and Elder, ICCV 2007), so that a cosine of codes approximates it.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from export.network import Network

RIDGE = 0.03
# Root mean square of the solved weights: large against a step of the optimizer, so that what follows refines.
WEIGHT_RMS = 0.05


def solve_head(network: Network, pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Set the linear layer of ``network`` from batches of map views and looks; returns the correlations kept."""
    size = network.head.in_features
    total = torch.zeros(size, dtype=torch.float64)
    between, within = (torch.zeros(size, size, dtype=torch.float64) for _ in range(2))
    count = 0
    network.eval()
    with torch.inference_mode():
        for maps, looks in pairs:
            # Single precision holds a batch's products; their sum over all batches wants double.
            a, b = network.features(maps), network.features(looks)
            total += (a + b).double().sum(0) / 2
            between += (a.T @ b).double()
            within += ((b - a).T @ (b - a)).double() / 2
            count += len(a)
        mean = total / count
        between = (between + between.T) / 2 / count - torch.outer(mean, mean)
        scatter = between + within / count
        scatter += RIDGE * torch.trace(scatter) / size * torch.eye(size, dtype=torch.float64)
        # The generalised problem made plain by the Cholesky factor. In torch, since its threads can be limited.
        factor = torch.linalg.cholesky(scatter)
        half = torch.linalg.solve_triangular(factor, between, upper=False)
        correlations, vectors = torch.linalg.eigh(torch.linalg.solve_triangular(factor, half.T, upper=False))
        kept = torch.arange(size - 1, size - 1 - network.head.out_features, -1)
        correlation = correlations[kept].clamp(1e-3, 0.99)
        directions = torch.linalg.solve_triangular(factor.T, vectors[:, kept], upper=True)
        weights = directions * torch.sqrt(correlation / (1 - correlation**2))
        weights *= WEIGHT_RMS / weights.square().mean().sqrt()
        network.head.weight.copy_(weights.T)
        network.head.bias.copy_(-mean @ weights)
        _centre(network, mean)
    return correlation.clone()


def _centre(network: Network, mean: Tensor) -> None:
    """Move the features' mean per channel from the head's bias into the pool's: the same codes, and features around
    zero, of which symmetric INT8 wastes no half."""
    channels = network.pool.out_channels
    offset = mean.view(channels, -1).mean(1)
    shift = offset.repeat_interleave(mean.numel() // channels)
    bias = network.pool.bias
    assert bias is not None
    bias -= offset.to(bias.dtype)
    network.head.bias.add_((network.head.weight.double() @ shift).to(bias.dtype))
