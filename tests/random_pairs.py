"""Pairs of patches of noise, for tests that need some."""

import numpy as np

from export.keypoint_pairs import STORED_PX, PatchPairs


def some_pairs(count: int, seed: int = 0) -> PatchPairs:
    rng = np.random.default_rng(seed)
    frame, chart, strangers = rng.integers(0, 255, (3, count, STORED_PX, STORED_PX)).astype(np.uint8)
    return PatchPairs(frame, chart, strangers, *rng.uniform(1, 2, (4, count)).astype(np.float32))
