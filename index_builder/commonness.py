"""How common landmarks are: those that look like many others are left out.

A landmark among many that are alike is the nearest of many a keypoint, and hardly ever the right one ("hubs":
Radovanovic, Nanopoulos and Ivanovic, JMLR 2010): the ninth of a catalogue that lies densest had 38 % of the votes of
photographs and 12 % of the right ones (docs/decisions.md).
"""

import faiss
import numpy as np
from numpy.typing import NDArray

_NEIGHBOUR = 10
_PROBES = 8
_AT_ONCE = 65536


def apart(descriptors: NDArray[np.float16], lists: int) -> NDArray[np.float32]:
    """How far (N,) each of the descriptors (N, D) lies from its tenth neighbour, squared; looked up as in flight, by
    product codes behind ``lists`` inverted lists."""
    dimension = descriptors.shape[1]
    index = faiss.index_factory(dimension, f"IVF{lists},PQ{dimension // 2}x4fs")
    index.cp.min_points_per_centroid = 1  # type: ignore[attr-defined]  # small maps are no reason to warn
    training = descriptors[:: max(1, len(descriptors) // (256 * lists))].astype(np.float32)
    index.train(training)
    blocks = [descriptors[start : start + _AT_ONCE] for start in range(0, len(descriptors), _AT_ONCE)]
    for block in blocks:
        index.add(block.astype(np.float32))
    index.nprobe = min(_PROBES, lists)  # type: ignore[attr-defined]
    # The nearest is the landmark itself.
    squares = [index.search(block.astype(np.float32), _NEIGHBOUR + 1)[0][:, _NEIGHBOUR] for block in blocks]
    return np.concatenate(squares)
