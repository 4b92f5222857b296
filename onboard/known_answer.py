"""The known answer: patches with what networks must say of them, carried by a pack and asked for whenever it is loaded.

It finds what checksums cannot: a runtime, a driver or a processor that computes something else than the one that
described the landmarks.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.errors import PackError
from onboard.patches import PATCH_PX

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

PATCHES = 64
# Least cosine of a descriptor with the expected one. Float networks differ by rounding. Quantized ones differ where a
# value falls on the other side of a step (tests/test_quantize.py: half of what is allowed, and less).
FLOAT_COSINE, INT8_COSINE = 0.999, 0.99


def check_known_answer(
    encode: Encode, patches: NDArray[np.uint8], descriptors: NDArray[np.float32], least_cosine: float, name: str
) -> float:
    """The least cosine of what ``encode`` answers with what was expected; PackError, naming ``name``, when it is less
    than asked or the arrays do not fit."""
    if patches.shape[1:] != (PATCH_PX, PATCH_PX) or len(patches) != len(descriptors) or not len(patches):
        raise PackError(f"{name}: its known answer has patches {patches.shape} and descriptors {descriptors.shape}")
    answer = encode(np.ascontiguousarray(patches))
    if answer.shape != descriptors.shape:
        raise PackError(f"{name}: answers {answer.shape}, the known answer is {descriptors.shape}; rebuild the pack")
    cosine = np.einsum("ij,ij->i", answer, descriptors)
    wrong = ~(cosine >= least_cosine)  # NaN is wrong too
    if wrong.any():
        raise PackError(
            f"{name}: {wrong.sum()} of {len(patches)} known patches are described otherwise than when the pack was "
            f"built (cosine {np.nanmin(cosine):.4f}, {least_cosine} is asked for); the runtime computes wrongly here"
        )
    return float(cosine.min())


def known_patches() -> NDArray[np.uint8]:
    """Patches (64, 32, 32) uint8, always the same: textures from fine to coarse, from faint to harsh, as ground,
    haze and the edges of clouds are."""
    rng = np.random.default_rng(64)
    noise = rng.normal(0, 1, (PATCHES, 2 * PATCH_PX, 2 * PATCH_PX)).astype(np.float32)
    inner = slice(PATCH_PX // 2, PATCH_PX // 2 + PATCH_PX)
    out = np.empty((PATCHES, PATCH_PX, PATCH_PX), np.uint8)
    for k, picture in enumerate(noise):
        smooth = cv2.GaussianBlur(picture, (0, 0), 0.7 * 1.4 ** (k % 8))[inner, inner]
        contrast = 4 * 1.6 ** (k // 8)  # deviation, in grey values
        out[k] = np.clip(110 + contrast * smooth / smooth.std(), 0, 255)
    return out
