"""A place that a frame may have been taken from, verified, and all such places of one frame."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.fix import Fix
from onboard.geodesy import Array
from onboard.matches import View
from onboard.pose import Pose, PoseKnowledge
from onboard.voting import Candidate


def _no_points() -> Array:
    return np.zeros((0, 3))


def _no_weights() -> NDArray[np.float32]:
    return np.zeros(0, np.float32)


def _no_keys() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A candidate with its fitted pose, None when nothing held; how many landmarks agree with it, in distinct
    places, and the sum of their weights, which is what acceptance judges; points_ecef_m (N, 3), weights (N,): those
    landmarks."""

    candidate: Candidate
    pose: Pose | None
    inliers: int
    score: float
    points_ecef_m: Array = field(default_factory=_no_points)
    weights: NDArray[np.float32] = field(default_factory=_no_weights)

    @classmethod
    def nothing_at(cls, candidate: Candidate) -> "Hypothesis":
        """A place where nothing held."""
        return cls(candidate, None, 0, 0.0)


@dataclass(frozen=True, eq=False)
class Sighting:
    """One frame's fix, its places with a pose, the fix's first, then best score first, and what it takes to check
    further places (`Localizer.check`); the last four are None or empty when the frame was rejected."""

    fix: Fix
    places: tuple[Hypothesis, ...] = ()
    view: View | None = None
    camera: Camera | None = None
    known: PoseKnowledge | None = None
    worldwide: NDArray[np.int64] = field(default_factory=_no_keys)
