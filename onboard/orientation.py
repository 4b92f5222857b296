"""In which direction a keypoint is described: so that map and frame, whatever the light, choose the same one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onboard.errors import PackError
from onboard.pack import Pack
from onboard.patch_model import PatchModel, engines_for

BINS = 36
BIN_DEG = 360.0 / BINS
# A second direction is taken with a frame's keypoint when the network holds it for at least this likely, compared with
# the first. (SIFT asks for 0.8 of the highest bin: Lowe, IJCV 2004, section 5.)
_SECOND_SHARE = 0.4


class OrientationNetwork(PatchModel):
    """A network that looks at an unturned patch and says how well each of BINS directions, clockwise from +x, would
    serve: log likelihoods but for a constant (`nadir export orientation`). Raises PackError as `PatchModel`."""

    def __init__(self, model: str | Path | bytes, threads: int = 2, engines: Sequence[Path] = ()) -> None:
        super().__init__(model, threads, engines, "the orientation network")
        if self.dim != BINS:
            raise PackError(f"{self.name}: tells {self.dim} directions apart, not {BINS}; it is no orientation network")

    def directions(
        self, grey: NDArray[np.uint8], xy: NDArray[np.float32], most: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Directions for keypoints xy (N, 2) of a picture (H, W), ``most`` of each at most: numbers (M,) of keypoints,
        rising; angles (M,) in degrees, [0, 360), clockwise from +x; how likely each is, the log (M,) of its bin's share
        of the keypoint's whole likelihood."""
        return peaks(self.rows_at(grey, xy, np.zeros(len(xy), np.float32)), most)


def peaks(
    log_likelihood: NDArray[np.float32], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """The highest peaks of circular histograms (N, BINS), as `OrientationNetwork.directions` returns them, each at the
    top of a parabola through its three bins."""
    before, after = np.roll(log_likelihood, 1, axis=1), np.roll(log_likelihood, -1, axis=1)
    peak = (log_likelihood > before) & (log_likelihood >= after)
    peak[np.arange(len(peak)), log_likelihood.argmax(axis=1)] = True  # of a flat patch, which has none, the first bin
    height = np.where(peak, log_likelihood, -np.inf)
    order = np.argsort(-height, axis=1, kind="stable")[:, :most]
    tops = np.take_along_axis(height, order, axis=1)
    keypoint, rank = np.nonzero(tops > tops[:, :1] + np.log(_SECOND_SHARE))
    bins = order[keypoint, rank]
    low, middle, high = before[keypoint, bins], log_likelihood[keypoint, bins], after[keypoint, bins]
    shift = (low - high) / np.minimum(2 * (low - 2 * middle + high), -1e-6)
    highest = log_likelihood.max(axis=1, keepdims=True)
    whole = highest[:, 0] + np.log(np.exp(log_likelihood - highest).sum(axis=1))
    return keypoint, ((bins + shift) * BIN_DEG % 360.0).astype(np.float32), middle - whole[keypoint]


def orientation_of(pack: Pack, threads: int) -> OrientationNetwork | None:
    """What turned a pack's landmarks, its known answer checked; None when SIFT did. Raises PackError."""
    name = pack.manifest.get("orientation_network")
    if name is None:
        return None
    network = OrientationNetwork(pack.file(str(name)), threads, engines_for(pack))
    network.check(pack.array("known_answer_patches"), pack.array("known_answer_directions"))
    return network
