"""Descriptors to 4-bit product codes behind a coarse quantizer, in the order the flight pack stores them."""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

_TRAINING_SAMPLE = 150_000


@dataclass(frozen=True, eq=False)
class Quantized:
    """order (N,): landmark numbers list by list; codes uint8 (N, M / 2) in that order; list_sizes uint32 (L,);
    coarse float16 (L, D); codebook float16 (M, 16, D / M)."""

    order: NDArray[np.int64]
    codes: NDArray[np.uint8]
    list_sizes: NDArray[np.uint32]
    coarse: NDArray[np.float16]
    codebook: NDArray[np.float16]


def quantize(descriptors: NDArray[np.float16], parts: int, lists: int, seed: int) -> Quantized:
    """Product-quantize descriptors (N, D) with ``parts`` 4-bit codes each (Jegou et al. 2011)."""
    count, dimension = descriptors.shape
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(count, min(count, _TRAINING_SAMPLE), replace=False))
    training = descriptors[sample].astype(np.float32)

    kmeans = faiss.Kmeans(dimension, lists, niter=12, seed=seed, max_points_per_centroid=256, min_points_per_centroid=1)
    kmeans.train(training)
    coarse = np.asarray(kmeans.centroids).astype(np.float16)
    finder = faiss.IndexFlatL2(dimension)
    finder.add(coarse.astype(np.float32))

    quantizer = faiss.ProductQuantizer(dimension, parts, 4)
    quantizer.cp.seed = seed
    quantizer.train(training)
    codebook = faiss.vector_to_array(quantizer.centroids).reshape(parts, 16, dimension // parts).astype(np.float16)
    faiss.copy_array_to_vector(codebook.astype(np.float32).ravel(), quantizer.centroids)

    assigned, codes = [], []
    for start in range(0, count, 65536):
        block = descriptors[start : start + 65536].astype(np.float32)
        assigned.append(finder.search(block, 1)[1][:, 0])
        codes.append(quantizer.compute_codes(block))
    listed = np.concatenate(assigned)
    order = np.argsort(listed, kind="stable")
    sizes = np.bincount(listed, minlength=lists).astype(np.uint32)
    return Quantized(order, np.concatenate(codes)[order], sizes, coarse, codebook)
