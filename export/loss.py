"""Losses of metric learning: multi-similarity, and the large-margin cosine loss of classification."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

# AstroLoc (arXiv 2502.07003) for alpha and beta; the base is that of the paper, which learnt faster here than 0.
ALPHA, BETA, BASE = 1.0, 50.0, 0.5
MARGIN = 0.1  # of the pair mining
# CosPlace (Berton et al., CVPR 2022) for both.
COSFACE_SCALE, COSFACE_MARGIN = 30.0, 0.4


def multi_similarity(codes: Tensor, others: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Mean multi-similarity loss (Wang et al., CVPR 2019, equations 7 to 10) of unit codes (N, D) against unit others
    (M, D).

    positive, negative (N, M) bool: pairs of the same place, of surely different places; a pair may be neither.
    Mining: a negative counts when it is more similar than the least similar positive less MARGIN, a positive when
    it is less similar than the most similar negative plus MARGIN.
    """
    similarity = codes @ others.T
    with torch.no_grad():
        worst = similarity.masked_fill(~positive, float("inf")).amin(1, keepdim=True)
        rival = similarity.masked_fill(~negative, float("-inf")).amax(1, keepdim=True)
        positive = positive & (similarity < rival + MARGIN)
        negative = negative & (similarity > worst - MARGIN)
    nothing = similarity.new_zeros(len(similarity), 1)  # the 1 in log(1 + sum)

    def soft(scaled: Tensor, chosen: Tensor) -> Tensor:
        return torch.logsumexp(torch.cat([nothing, scaled.masked_fill(~chosen, float("-inf"))], 1), 1)

    pull = soft(-ALPHA * (similarity - BASE), positive) / ALPHA
    push = soft(BETA * (similarity - BASE), negative) / BETA
    return (pull + push).mean()


def cosface(cosine: Tensor, label: Tensor) -> Tensor:
    """Mean large-margin cosine loss (Wang et al., CVPR 2018, equation 4) of cosines (N, classes) to the classes'
    weights, label (N,) int64: the own class must win by COSFACE_MARGIN."""
    return cross_entropy(COSFACE_SCALE * (cosine - COSFACE_MARGIN * one_hot(label, cosine.shape[1])), label)
