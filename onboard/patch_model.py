"""A small network on patches, in a TensorRT engine when one was built from it for this device, else in ONNX Runtime."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onboard.engine import open_engine
from onboard.engine_file import sha256
from onboard.errors import PackError
from onboard.known_answer import FLOAT_COSINE, INT8_COSINE, check_known_answer
from onboard.network import Network, OnnxNetwork
from onboard.pack import Pack
from onboard.patches import PATCH_PX, patches_at

PATCHES_AT_ONCE = 256  # described together; 512 take 35 MiB more and hardly less time (docs/decisions.md)


class PatchModel:
    """Patches (N, PATCH_PX, PATCH_PX) uint8 in, rows (N, dim) out. engines: files, or folders of them.

    metadata: what the file says of itself; runtime: what computes it, and ``refused``: what might have but does not fit
    here, for people. Raises PackError, naming ``name``, when the file cannot be loaded or is none of these.
    """

    def __init__(self, model: str | Path | bytes, threads: int, engines: Sequence[Path], name: str) -> None:
        self.name = name if isinstance(model, bytes) else str(model)
        self._exact = OnnxNetwork(model, threads, self.name)
        self.dim, self.metadata = self._exact.dim, self._exact.metadata
        if self._exact.input_shape != (1, PATCH_PX, PATCH_PX):
            raise PackError(f"{self.name}: takes inputs of {self._exact.input_shape}, not patches of {PATCH_PX} pixels")
        self._least_cosine = INT8_COSINE if self.metadata.get("precision") == "int8" else FLOAT_COSINE
        data = model if isinstance(model, bytes) else Path(model).read_bytes()
        engine, self.refused = open_engine(sha256(data), engines)
        self._network: Network = engine or self._exact
        if self._network.input_shape != self._exact.input_shape or self._network.dim != self.dim:
            raise PackError(f"{self.runtime}: has not the shapes of {self.name}; remove it")

    @property
    def runtime(self) -> str:
        return self._network.runtime

    def rows(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows (N, dim) float32 as the network gives them."""
        return self._network.run(normalised(patches))

    def rows_at(
        self, grey: NDArray[np.uint8], xy: NDArray[np.float32], angle_deg: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """`rows` of a picture (H, W) around pixels (N, 2), turned by angles (N,) as `patches_at` does."""
        parts = [
            self.rows(patches_at(grey, xy[at : at + PATCHES_AT_ONCE], angle_deg[at : at + PATCHES_AT_ONCE]))
            for at in range(0, max(len(xy), 1), PATCHES_AT_ONCE)
        ]
        return np.concatenate(parts)

    def encode(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows (N, dim) float32 of unit length."""
        return unit_rows(self.rows(patches))

    def check(self, patches: NDArray[np.uint8], answer: NDArray[np.float32]) -> None:
        """Raise PackError unless ONNX Runtime, and the engine if there is one, give the known answer, rows of unit
        length (onboard/known_answer.py)."""
        both = [self._exact] if self._network is self._exact else [self._exact, self._network]
        for network in both:

            def encode(known: NDArray[np.uint8], network: Network = network) -> NDArray[np.float32]:
                return unit_rows(network.run(normalised(known)))

            check_known_answer(encode, patches, answer, self._least_cosine, f"{self.name} in {network.runtime}")


# Added to a patch's deviation (grey values): haze leaves a few grey values of texture, sensors and JPEG one.
_DEVIATION_FLOOR = 2.0


def normalised(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Patches (N, S, S) uint8 as networks take them, (N, 1, S, S) float32: of zero mean and even contrast."""
    values = patches.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    deviation = np.sqrt(np.einsum("nij,nij->n", values, values) / values[0].size) if len(values) else np.zeros(0)
    values /= (deviation.astype(np.float32) + np.float32(_DEVIATION_FLOOR))[:, None, None]
    return values[:, None]


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (N, D) brought to unit length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def engines_for(pack: Pack) -> tuple[Path, ...]:
    """Where engines for a pack's networks are looked for: beside them, then in the folder $NADIR_ENGINES."""
    named = os.environ.get("NADIR_ENGINES")
    return (pack.path, *([Path(named)] if named else []))
