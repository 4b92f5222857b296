"""SALAD: local features to one code by optimal transport (Izquierdo and Civera, CVPR 2024, arXiv 2311.15937)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

ITERATIONS = 3  # of Sinkhorn, as in the paper
HIDDEN = 512


def transport(scores: Tensor, dustbin: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """How much of each feature goes to each cluster, (N, clusters, features), of scores of the same shape.

    Every feature gives a mass of one, every cluster takes a mass of one and a dustbin what is left (paper, section 3.2;
    the entropic problem of Cuturi, NIPS 2013, solved in the logarithm). ``dustbin`` () is the score of the dustbin, to
    which uninformative features go. Masses of features are exact, those of clusters as exact as the iterations make
    them. There must be more features than clusters.
    """
    count, clusters, features = scores.shape
    if features <= clusters:
        raise ValueError(f"{features} features cannot fill {clusters} clusters and a dustbin")
    scores = torch.cat([scores, dustbin.expand(count, 1, features)], 1).float()
    taken = scores.new_zeros(clusters + 1)  # logarithms of the masses
    taken[-1] = math.log(features - clusters)
    by_cluster, by_feature = scores.new_zeros(count, clusters + 1), scores.new_zeros(count, features)
    for _ in range(iterations):
        by_cluster = taken - torch.logsumexp(scores + by_feature[:, None], 2)
        by_feature = -torch.logsumexp(scores + by_cluster[:, :, None], 1)
    return torch.exp(scores + by_cluster[:, :, None] + by_feature[:, None])[:, :-1]


class Salad(nn.Module):
    """Features (N, C, h, w) and a token (N, C) to a unit vector (N, clusters * cluster_dim + token_dim)."""

    def __init__(self, channels: int, clusters: int, cluster_dim: int, token_dim: int) -> None:
        super().__init__()

        def perceptron(out: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(channels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, out))

        self.values, self.scores, self.token = perceptron(cluster_dim), perceptron(clusters), perceptron(token_dim)
        self.dustbin = nn.Parameter(torch.ones(()))
        self.out_features = clusters * cluster_dim + token_dim

    def forward(self, features: Tensor, token: Tensor) -> Tensor:
        local = features.flatten(2).transpose(1, 2)
        scores, values = self.scores(local).transpose(1, 2), self.values(local)
        whole = self.token(token)
        # Exponentials and sums of many small masses: never in half precision.
        with torch.autocast(features.device.type, enabled=False):
            sums = transport(scores, self.dustbin) @ values.float()
            return normalize(torch.cat([normalize(whole.float(), dim=1), normalize(sums, dim=2).flatten(1)], 1), dim=1)
