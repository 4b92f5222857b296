"""Guided matching: each landmark that a placement predicts is looked for just where it must be, keypoint or not.

Keypoints of a frame and of the map are seldom the same ones, but the ground is: described at the predicted place and
angle, landmarks are recognised several times as often as by way of keypoints, and under a wrong placement they are not
(docs/decisions.md; guided matching: Hartley and Zisserman, Multiple View Geometry, 2004, section 4.8).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.describer import Describer
from onboard.geodesy import Array
from onboard.ground_plane import Ground, offsets_of
from onboard.landmarks import Catalogue
from onboard.matches import View
from onboard.placement import Placement, radius_rad
from onboard.verification import Verifier

# A landmark is looked for this far to either side, above and below its place, in pixels: half of what the descriptor
# forgives.
_STEP_PX = 1.5
_AROUND_PX = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]]) * _STEP_PX


@dataclass(frozen=True, eq=False)
class Expected:
    """Landmarks as a placement predicts them in a frame: numbers (K,) int64; ground (K,) complex, offsets in metres;
    xy (K, 2), pixels of the rectified picture; angle_deg (K,) float32."""

    numbers: NDArray[np.int64]
    ground: Ground
    xy: Array
    angle_deg: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, chosen: NDArray) -> "Expected":
        return Expected(self.numbers[chosen], self.ground[chosen], self.xy[chosen], self.angle_deg[chosen])


class Guide:
    """Guided matching against one catalogue."""

    def __init__(self, catalogue: Catalogue, verifier: Verifier, describer: Describer) -> None:
        self.catalogue, self._verifier, self._describer = catalogue, verifier, describer

    def expected(self, view: View, placement: Placement, middle: complex, radius_m: float) -> Expected:
        """The landmarks that the frame should show within ``radius_m`` of the ground offset ``middle``."""
        numbers = self._verifier.grid.within(placement.unit, radius_rad(abs(middle) + radius_m))
        ground, angle_deg = placement.expected(self.catalogue, numbers)
        expected = Expected(numbers, ground, view.pixels_of_ground(ground), angle_deg)
        near = np.abs(ground - middle) < radius_m
        return expected[near & view.shows(expected.xy)]

    def keypoints(self, view: View, expected: Expected, reach_px: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keypoints of the frame that are expected landmarks, at most so far from where they should be: numbers of
        features and of landmarks (P,)."""
        feature, landmark = self._verifier.keypoints(
            view, expected.numbers, offsets_of(expected.ground), expected.angle_deg, reach_px * view.gsd_m
        )
        return feature, expected.numbers[landmark]

    def _remembered(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Descriptors (K, D) of landmarks, of unit length."""
        descriptors = self.catalogue.decode(numbers)
        return descriptors / np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-9)

    def _described(self, view: View, xy: Array, expected: Expected) -> NDArray[np.float32]:
        """Descriptors (K, D) of the frame at pixels (K, 2), turned as the expected landmarks are."""
        return self._describer.describe(
            view.picture, xy.astype(np.float32), expected.angle_deg, self.catalogue.scale_px[expected.numbers]
        )

    def recognised(self, view: View, expected: Expected) -> NDArray[np.bool_]:
        """Which of the expected landmarks (K,) the frame shows: those whose place looks more like them than like any
        other of the K, and more than the place of any other. By chance that happens to about one of them, however
        many they are, so that no threshold of likeness is asked for."""
        return mutual(self._described(view, expected.xy, expected) @ self._remembered(expected.numbers).T)

    def located(self, view: View, expected: Expected) -> tuple[NDArray[np.bool_], Array, NDArray[np.float32]]:
        """`recognised` at the likest of five places around each prediction; where between them each landmark fits best,
        in pixels (K, 2) from the prediction; and the likeness (K,) there."""
        count, around = len(expected), len(_AROUND_PX)
        if not count:
            return np.zeros(0, bool), np.empty((0, 2)), np.empty(0, np.float32)
        xy = (expected.xy[None] + _AROUND_PX[:, None]).reshape(-1, 2)
        everywhere = Expected(*(np.concatenate([part] * around) for part in vars(expected).values()))
        found = self._described(view, xy, everywhere).reshape(around, count, -1)
        remembered = self._remembered(expected.numbers)
        likeness = np.einsum("skd,kd->sk", found, remembered)
        best = likeness.argmax(axis=0)
        known = mutual(found[best, np.arange(count)] @ remembered.T)
        return known, _peak_px(likeness), likeness.max(axis=0)


def mutual(likeness: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of K are each other's best in a table (K, K) of what is found against what is remembered."""
    number = np.arange(len(likeness))
    if not len(number):
        return np.zeros(0, bool)
    # Numpy finds the greatest of every column several times as fast as where it is.
    return np.asarray((likeness.argmax(axis=1) == number) & (likeness.diagonal() == likeness.max(axis=0)))


def _peak_px(likeness: NDArray[np.float32]) -> Array:
    """Where parabolas through the likeness (5, K) at _AROUND_PX have their top, pixels (K, 2) right and down, between
    the five places."""
    peaks = []
    for before, after in ((1, 2), (3, 4)):
        slope = (likeness[after] - likeness[before]) / 2
        bend = likeness[before] - 2 * likeness[0] + likeness[after]
        outward = np.sign(slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            top = np.where(bend < 0, -slope / bend, outward)
        peaks.append(np.clip(top, -1, 1) * _STEP_PX)
    return np.column_stack(peaks)
