"""Describers: what a keypoint's surroundings look like, as a vector of unit length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from onboard.errors import PackError
from onboard.patches import PATCH_PX, patches_at

Keypoints = Sequence[cv2.KeyPoint]


class Describer(Protocol):
    """dim: length D of a descriptor; likeness: cosine of two descriptors at which a match starts to speak for a place,
    and at which it says all it can."""

    @property
    def dim(self) -> int: ...

    @property
    def likeness(self) -> tuple[float, float]: ...

    def describe(
        self, grey: NDArray[np.uint8], equalised: NDArray[np.uint8], keypoints: Keypoints
    ) -> NDArray[np.float32]:
        """Descriptors (N, D) float32 of unit length of keypoints of a picture: its luminance (H, W), as it is and
        locally equalised."""
        ...


class RootSift:
    """RootSIFT (Arandjelovic and Zisserman, CVPR 2012) of the equalised luminance: nothing learned."""

    dim = 128
    # Matches of a right place centre on 0.94, chance ones on 0.87 (docs/results.md).
    likeness = (0.80, 0.94)
    # Twice SIFT's usual support: seen from orbit the ground is flat, so that a wider neighbourhood only adds what tells
    # one place from another (docs/results.md: a third more votes for the right place).
    _SUPPORT = 2.0

    def describe(
        self, grey: NDArray[np.uint8], equalised: NDArray[np.uint8], keypoints: Keypoints
    ) -> NDArray[np.float32]:
        wide = [
            cv2.KeyPoint(k.pt[0], k.pt[1], k.size * self._SUPPORT, k.angle, k.response, k.octave) for k in keypoints
        ]
        _, found = cv2.SIFT_create(enable_precise_upscale=True).compute(equalised, wide)
        return np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1.0))


class PatchNetwork:
    """A small network on oriented patches of luminance (`nadir export local`), in ONNX Runtime.

    Input: `normalised` patches (N, 1, 32, 32); output: (N, D). Raises PackError when the file cannot be loaded or is
    none of these.
    """

    def __init__(self, model: str | Path | bytes, threads: int = 2) -> None:
        name = "the descriptor network" if isinstance(model, bytes) else str(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
            )
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.likeness = (float(metadata["likeness_low"]), float(metadata["likeness_high"]))
            (self._input,), (output,) = self._session.get_inputs(), self._session.get_outputs()
            self.dim = int(output.shape[1])
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            raise PackError(f"{name}: not a descriptor network made by 'nadir export local' ({error})") from error
        if self._input.shape[1:] != [1, PATCH_PX, PATCH_PX] or self._input.type != "tensor(float)":
            raise PackError(f"{name}: takes {self._input.type} {self._input.shape}, not patches of {PATCH_PX} pixels")

    def describe(
        self, grey: NDArray[np.uint8], equalised: NDArray[np.uint8], keypoints: Keypoints
    ) -> NDArray[np.float32]:
        xy = np.array([point.pt for point in keypoints], np.float32)
        angle_deg = np.array([point.angle for point in keypoints], np.float32)
        return self.encode(patches_at(grey, xy, angle_deg))

    def encode(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Descriptors (N, D) float32 of unit length of patches (N, 32, 32) uint8."""
        out = self._session.run(None, {self._input.name: normalised(patches)})[0]
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


# Added to a patch's deviation (grey values): haze leaves a few grey values of texture, sensors and JPEG one.
_DEVIATION_FLOOR = 2.0


def normalised(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Patches (N, S, S) uint8 as the network takes them, (N, 1, S, S) float32: of zero mean and even contrast."""
    values = patches.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    deviation = np.sqrt(np.einsum("nij,nij->n", values, values) / values[0].size) if len(values) else np.zeros(0)
    values /= (deviation.astype(np.float32) + np.float32(_DEVIATION_FLOOR))[:, None, None]
    return values[:, None]
