"""The classical baseline: RootSIFT aggregated to one vector, what a user would build without learning anything.

VLAD (Jégou et al., CVPR 2010) of RootSIFT (Arandjelović and Zisserman, CVPR 2012) with intra-normalised residuals
(Arandjelović and Zisserman, CVPR 2013), principal directions whitened (Jégou and Chum, ECCV 2012).
"""

from collections.abc import Iterable

import cv2
import faiss
import numpy as np
from numpy.typing import NDArray

from onboard.encoder import CLIP
from onboard.errors import NadirError

WORDS = 64
FEATURES = 500  # of a view, at most
SIFT_DIM = 128
# Descriptors a word k-means sees: more no longer move the words.
SAMPLED = 400


class VocabularyError(NadirError):
    """Too few views to learn words and directions from."""


class VladEncoder:
    """A `ViewEncoder`. One turn will do, as SIFT turns with the picture, and one move, as words lie anywhere in it."""

    turns, reach_m = 1, np.inf

    def __init__(self, views: Iterable[NDArray[np.float32]], span_m: float, size: int, dim: int, seed: int) -> None:
        """Learn the words and directions from views (1, size, size); raises VocabularyError for fewer than ``dim``."""
        self.span_m, self.size, self.dim = span_m, size, dim
        self._sift = cv2.SIFT_create(nfeatures=FEATURES, contrastThreshold=0.01, enable_precise_upscale=True)  # type: ignore[attr-defined]
        found = [self._described(view) for view in views]
        everything = np.concatenate(found) if found else np.empty((0, SIFT_DIM), np.float32)
        if len(found) < dim or len(everything) < WORDS:
            raise VocabularyError(f"{len(found)} views with {len(everything)} features do not give {dim} directions")
        chosen = np.random.default_rng(seed).permutation(len(everything))[: WORDS * SAMPLED]
        means = faiss.Kmeans(SIFT_DIM, WORDS, niter=20, seed=seed, min_points_per_centroid=1)
        means.train(everything[chosen])
        self._words = means.index
        self._centres = np.asarray(means.centroids, np.float32)
        self._whiten = faiss.PCAMatrix(WORDS * SIFT_DIM, dim, -0.5)
        self._whiten.train(np.stack([self._aggregated(descriptors) for descriptors in found]))

    @property
    def bytes(self) -> int:
        """Size of what was learned."""
        return 4 * (WORDS * SIFT_DIM + WORDS * SIFT_DIM * (self.dim + 1))

    def encode(self, views: NDArray[np.float32]) -> NDArray[np.float32]:
        """Codes (N, dim) float32 of unit length of views (N, 1, size, size); zero where SIFT finds nothing."""
        vectors = np.stack([self._aggregated(self._described(view)) for view in views])
        codes = self._whiten.apply(vectors)
        codes[~vectors.any(axis=1)] = 0
        return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-9)

    def _described(self, view: NDArray[np.float32]) -> NDArray[np.float32]:
        """RootSIFT (K, 128) of a view (1, size, size)."""
        grey = np.clip((view[0] / CLIP + 1) * 127.5, 0, 255).astype(np.uint8)
        # What is not seen is exactly zero: its rim is no feature of the ground.
        seen = cv2.erode(
            (cv2.boxFilter(np.abs(view[0]), -1, (5, 5)) > 1e-4).astype(np.uint8), np.ones((9, 9), np.uint8)
        )
        descriptors = self._sift.detectAndCompute(grey, seen)[1]
        if descriptors is None:
            return np.empty((0, SIFT_DIM), np.float32)
        return np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-9)).astype(np.float32)

    def _aggregated(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """VLAD (WORDS * 128,) of descriptors (K, 128), of unit length or zero."""
        sums = np.zeros((WORDS, SIFT_DIM), np.float32)
        if len(descriptors):
            word = self._words.search(descriptors, 1)[1][:, 0]
            np.add.at(sums, word, descriptors - self._centres[word])
            sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        return (sums / max(float(np.linalg.norm(sums)), 1e-9)).ravel()
