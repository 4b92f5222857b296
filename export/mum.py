"""Mining by map clusters: which places of the map a step tells apart (MUM of AstroLoc, arXiv 2502.07003, section 3).

Places that look alike to the network fall into one cluster; a step tells places of one cluster apart, and clusters come
up as often as frames fall into them, so that training dwells on what frames show and the network confuses.
"""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

ITERATIONS = 20  # of k-means


@dataclass(frozen=True, eq=False)
class MapClusters:
    """cluster (P,) int64 of each place of the pool; share (K,) float64: how often each cluster is drawn."""

    cluster: NDArray[np.int64]
    share: NDArray[np.float64]

    @classmethod
    def found(cls, maps: NDArray[np.float32], frames: NDArray[np.float32], clusters: int, seed: int) -> "MapClusters":
        """k-means of map codes (P, D), at least two; the share of a cluster is that of the frames, codes (F, D), whose
        nearest centre it has. Clusters of a single place are never drawn, since there is nothing to tell apart; so that
        not all are, there are at most half as many as places."""
        means = faiss.Kmeans(
            maps.shape[1], min(clusters, len(maps) // 2), niter=ITERATIONS, seed=seed, min_points_per_centroid=1
        )
        means.train(np.ascontiguousarray(maps, np.float32))
        cluster = means.index.search(np.ascontiguousarray(maps, np.float32), 1)[1][:, 0]
        fallen = means.index.search(np.ascontiguousarray(frames, np.float32), 1)[1][:, 0]
        count = np.bincount(fallen, minlength=means.k).astype(np.float64)
        count[np.bincount(cluster, minlength=means.k) < 2] = 0
        if not count.any():  # every frame fell beside: places are drawn evenly
            members = np.bincount(cluster, minlength=means.k).astype(np.float64)
            count = members * (members > 1)
        return cls(cluster.astype(np.int64), count / count.sum())

    def draw(self, rng: np.random.Generator, places: int) -> NDArray[np.int64]:
        """Numbers of ``places`` places of one cluster; of a smaller one some come up more than once."""
        members = np.flatnonzero(self.cluster == rng.choice(len(self.share), p=self.share))
        once = rng.permutation(members)[:places]
        return np.concatenate([once, rng.choice(members, places - len(once))])
