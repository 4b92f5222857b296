"""Describers: what a keypoint's surroundings look like, as a vector of unit length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.errors import PackError
from onboard.pack import Pack
from onboard.patch_model import PatchModel, engines_for, unit_rows
from onboard.picture import Picture


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
    # Matches of a right place centre on 0.94, chance ones on 0.87 (docs/decisions.md).
    likeness = (0.80, 0.94)
    runtime = f"RootSIFT of OpenCV {cv2.__version__}"
    refused: tuple[str, ...] = ()
    # Twice SIFT's usual support: seen from orbit the ground is flat, so that a wider neighbourhood only adds what tells
    # one place from another (docs/decisions.md: a third more votes for the right place).
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


class PatchNetwork(PatchModel):
    """A describer by a small network on oriented patches of luminance (`nadir export local`). Raises PackError as
    `PatchModel`."""

    def __init__(self, model: str | Path | bytes, threads: int = 2, engines: Sequence[Path] = ()) -> None:
        super().__init__(model, threads, engines, "the descriptor network")
        try:
            self.likeness = (float(self.metadata["likeness_low"]), float(self.metadata["likeness_high"]))
        except (KeyError, ValueError) as error:
            raise PackError(
                f"{self.name}: not a descriptor network made by 'nadir export local' (no {error})"
            ) from error

    def describe(
        self,
        picture: Picture,
        xy: NDArray[np.float32],
        angle_deg: NDArray[np.float32],
        scale_px: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        return unit_rows(self.rows_at(picture.grey, xy, angle_deg))


def describer_of(pack: Pack, threads: int) -> Describer:
    """What described a pack's landmarks, as its manifest says, its known answer checked. Raises PackError."""
    name = pack.manifest.get("descriptor_network")
    if name is None:
        return RootSift()
    network = PatchNetwork(pack.file(str(name)), threads, engines_for(pack))
    network.check(pack.array("known_answer_patches"), pack.array("known_answer_descriptors"))
    return network
