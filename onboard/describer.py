"""Describers: what a keypoint's surroundings look like, as a vector of unit length."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.engine import open_engine
from onboard.engine_file import sha256
from onboard.errors import PackError
from onboard.known_answer import FLOAT_COSINE, INT8_COSINE, check_known_answer
from onboard.network import Network, OnnxNetwork
from onboard.pack import Pack
from onboard.patches import PATCH_PX, patches_at
from onboard.picture import Picture

_AT_ONCE = 2048  # patches cut out together: a few megabytes


class Describer(Protocol):
    """dim: length D of a descriptor; likeness: cosine of two descriptors at which a match starts to speak for a place,
    and at which it says all it can; runtime: what computes it, and ``refused``: what might have but does not fit here,
    for people."""

    @property
    def dim(self) -> int: ...

    @property
    def likeness(self) -> tuple[float, float]: ...

    @property
    def runtime(self) -> str: ...

    @property
    def refused(self) -> tuple[str, ...]: ...

    def describe(
        self,
        picture: Picture,
        xy: NDArray[np.float32],
        angle_deg: NDArray[np.float32],
        scale_px: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Descriptors (N, D) float32 of unit length of a picture around pixels (N, 2) in directions (N,), clockwise
        from +x; scale_px (N,): of the keypoints."""
        ...


class RootSift:
    """RootSIFT (Arandjelovic and Zisserman, CVPR 2012) of the equalised luminance: nothing learned."""

    dim = 128
    # Matches of a right place centre on 0.94, chance ones on 0.87 (docs/results.md).
    likeness = (0.80, 0.94)
    runtime = f"RootSIFT of OpenCV {cv2.__version__}"
    refused: tuple[str, ...] = ()
    # Twice SIFT's usual support: seen from orbit the ground is flat, so that a wider neighbourhood only adds what tells
    # one place from another (docs/results.md: a third more votes for the right place).
    _SUPPORT = 2.0

    def describe(
        self,
        picture: Picture,
        xy: NDArray[np.float32],
        angle_deg: NDArray[np.float32],
        scale_px: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        wide = [
            cv2.KeyPoint(float(x), float(y), float(size * self._SUPPORT), float(angle))
            for (x, y), angle, size in zip(xy, angle_deg, scale_px)
        ]
        if not wide:
            return np.empty((0, self.dim), np.float32)
        _, found = cv2.SIFT_create(enable_precise_upscale=True).compute(picture.even, wide)
        return np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1.0))


class PatchNetwork:
    """A small network on oriented patches of luminance (`nadir export local`): in a TensorRT engine when one in
    ``engines`` (files, or folders of them) was built from it for this device, else in ONNX Runtime.

    Input: `normalised` patches (N, 1, 32, 32); output: (N, D). Raises PackError when the file cannot be loaded or is
    none of these.
    """

    def __init__(self, model: str | Path | bytes, threads: int = 2, engines: Sequence[Path] = ()) -> None:
        name = "the descriptor network" if isinstance(model, bytes) else str(model)
        self._exact = OnnxNetwork(model, threads, name)
        self.dim, metadata = self._exact.dim, self._exact.metadata
        if self._exact.input_shape != (1, PATCH_PX, PATCH_PX):
            raise PackError(f"{name}: takes inputs of {self._exact.input_shape}, not patches of {PATCH_PX} pixels")
        try:
            self.likeness = (float(metadata["likeness_low"]), float(metadata["likeness_high"]))
        except (KeyError, ValueError) as error:
            raise PackError(f"{name}: not a descriptor network made by 'nadir export local' (no {error})") from error
        self._least_cosine = INT8_COSINE if metadata.get("precision") == "int8" else FLOAT_COSINE
        data = model if isinstance(model, bytes) else Path(model).read_bytes()
        engine, self.refused = open_engine(sha256(data), engines)
        self._network: Network = engine or self._exact
        if self._network.input_shape != self._exact.input_shape or self._network.dim != self.dim:
            raise PackError(f"{self.runtime}: has not the shapes of {name}; remove it")

    @property
    def runtime(self) -> str:
        return self._network.runtime

    def check(self, patches: NDArray[np.uint8], descriptors: NDArray[np.float32]) -> None:
        """Raise PackError unless ONNX Runtime, and the engine if there is one, give the known answer
        (onboard/known_answer.py)."""
        both = [self._exact] if self._network is self._exact else [self._exact, self._network]
        for network in both:
            encode = functools.partial(_encode, network)
            check_known_answer(encode, patches, descriptors, self._least_cosine, network.runtime)

    def describe(
        self,
        picture: Picture,
        xy: NDArray[np.float32],
        angle_deg: NDArray[np.float32],
        scale_px: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        parts = [
            self.encode(patches_at(picture.grey, xy[at : at + _AT_ONCE], angle_deg[at : at + _AT_ONCE]))
            for at in range(0, max(len(xy), 1), _AT_ONCE)
        ]
        return np.concatenate(parts)

    def encode(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Descriptors (N, D) float32 of unit length of patches (N, 32, 32) uint8."""
        return _encode(self._network, patches)


def _encode(network: Network, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    out = network.run(normalised(patches))
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


def describer_of(pack: Pack, threads: int) -> Describer:
    """What described a pack's landmarks, as its manifest says, its known answer checked.

    Engines are looked for beside the pack's network, then in the folder $NADIR_ENGINES. Raises PackError.
    """
    name = pack.manifest.get("descriptor_network")
    if name is None:
        return RootSift()
    named = os.environ.get("NADIR_ENGINES")
    network = PatchNetwork(pack.file(str(name)), threads, (pack.path, *([Path(named)] if named else [])))
    network.check(pack.array("known_answer_patches"), pack.array("known_answer_descriptors"))
    return network


# Added to a patch's deviation (grey values): haze leaves a few grey values of texture, sensors and JPEG one.
_DEVIATION_FLOOR = 2.0


def normalised(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Patches (N, S, S) uint8 as the network takes them, (N, 1, S, S) float32: of zero mean and even contrast."""
    values = patches.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    deviation = np.sqrt(np.einsum("nij,nij->n", values, values) / values[0].size) if len(values) else np.zeros(0)
    values /= (deviation.astype(np.float32) + np.float32(_DEVIATION_FLOOR))[:, None, None]
    return values[:, None]
