"""What a descriptor is worth on pairs never trained on: recall among all, likeness of right ones and of chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from export.keypoint_pairs import MARGIN_PX, PatchPairs
from export.shards import HELD_OUT, ShardError, read_shards
from onboard.patches import PATCH_PX

# Landmarks that geometry leaves a keypoint to choose from in the verification, about.
_CHOICES = 32
_DIMENSIONS_A_CODE, _BITS = 2, 4  # as index_builder/build.py quantizes
FEWEST = 1 << _BITS  # pairs that the values of a code can be found from
_TRAINING_SAMPLE = 100_000


@dataclass(frozen=True)
class PatchReport:
    """pairs: how many; recall_1, recall_10: share whose right landmark is first, among the first ten, of all of them,
    product-quantized as in a pack; right, chance: median likeness of a pair, and of the best of 32 others."""

    pairs: int
    recall_1: float
    recall_10: float
    right: float
    chance: float

    @property
    def likeness(self) -> tuple[float, float]:
        """Where a match starts to speak for a place (what chance gives half of the time) and where it says all it can
        (what half of the right ones reach)."""
        return self.chance, self.right


def inner_patches(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle (N, PATCH_PX, PATCH_PX) of stored patches."""
    inner = slice(MARGIN_PX, MARGIN_PX + PATCH_PX)
    return np.ascontiguousarray(stored[:, inner, inner])


def read_held_out(folders: Sequence[Path]) -> PatchPairs:
    """The pairs held out in folders of shards. Raises ShardError when they are too few to measure on."""
    pairs = read_shards(folders, HELD_OUT, PatchPairs)
    if len(pairs) < FEWEST:
        raise ShardError(
            f"{', '.join(map(str, folders))}: {len(pairs)} held-out pairs, of {FEWEST} that a measurement needs; make "
            "more with 'nadir export pairs --places'"
        )
    return pairs


def report_patches(frame: NDArray[np.float32], chart: NDArray[np.float32], seed: int = 0) -> PatchReport:
    """Measure descriptors (N, D) float32 of unit length, row by row the same keypoint in a frame and on the map; N at
    least FEWEST."""
    count, dimension = chart.shape
    rng = np.random.default_rng(seed)
    quantizer: Any = faiss.ProductQuantizer(dimension, dimension // _DIMENSIONS_A_CODE, _BITS)
    quantizer.train(chart[rng.permutation(count)[:_TRAINING_SAMPLE]])
    stored = quantizer.decode(quantizer.compute_codes(chart))
    finder: Any = faiss.IndexFlatIP(dimension)
    finder.add(stored)
    asked = np.sort(rng.permutation(count)[:5000])
    _, found = finder.search(frame[asked], 10)
    hit = found == asked[:, None]
    right = np.einsum("ij,ij->i", frame[asked], stored[asked])
    others = rng.integers(0, count, (len(asked), _CHOICES))
    chance = np.einsum("id,ijd->ij", frame[asked], stored[others]).max(axis=1)
    return PatchReport(
        len(asked), float(hit[:, 0].mean()), float(hit.any(axis=1).mean()), float(np.median(right)),
        float(np.median(chance)),
    )  # fmt: skip
