"""The pose of a frame from the landmarks recognised in it: by themselves alone, and with what was told.

Where a landmark is, two things tell: its likeness around the place where it is expected, for every landmark, and a
keypoint found there, for a few. Keypoints err each for itself; likenesses of neighbours err together, as haze and
shadow draw them, so that they weigh little where there are keypoints (docs/decisions.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.clock import Clock
from onboard.geodesy import Array
from onboard.ground_plane import Ground, as_ground, offsets_of
from onboard.growth import one_a_square
from onboard.guided import Expected, Guide
from onboard.hypothesis_fit import KEYPOINT_SIGMA_PX, fit_pose, points_of
from onboard.matches import View
from onboard.patches import PATCH_PX
from onboard.placement import Placement
from onboard.pose import Pose, PoseKnowledge

# Of the landmarks recognised in such a square, half a patch wide, one is measured.
_MEASURED_PX = 16.0
_MEASUREMENTS = 3
# Expected anew from the pose, a frame may show more: as long as it is so many times more, and so often at most.
_GROWING, _MOST_ROUNDS = 1.05, 8
# Where a patch reaches over the edge of the picture it is a mirror image, which draws what is measured inwards: a
# picture that seems smaller, from higher up.
_WHOLE_PX = PATCH_PX // 2
# 1-sigma of a landmark placed by likeness: alone, and beside keypoints (chosen on simulated fixes, docs/decisions.md).
_SIGMA_PX, _SIGMA_BESIDE_PX = 1.25, 2.0
_KEYPOINT_REACH_PX = 2.0
# Where many landmarks are recognised each is placed better, too: haze hides and displaces them alike. Their 1-sigma
# falls with their number beyond so many, to this power (218 simulated fixes, docs/decisions.md).
_MANY, _FALLS = 90, 0.35


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame over a place: what it shows, the camera that took it, what is known, about where it lies, and the frame's
    clock, whose deadline ends the looking."""

    guide: Guide
    view: View
    camera: Camera
    known: PoseKnowledge
    placement: Placement
    clock: Clock

    def ground(self, pose: Pose, expected: Expected) -> Ground:
        """Ground offsets (K,) at which a camera of this pose shows landmarks; NaN where it cannot."""
        rays = (points_of(self.guide.catalogue, expected.numbers) - pose.position_ecef_m) @ pose.ecef_from_cam
        return as_ground(self.view.plane.from_camera(rays / np.linalg.norm(rays, axis=1, keepdims=True)))

    def under(self, pose: Pose, expected: Expected) -> Expected:
        """Landmarks where a camera of this pose shows them; without those that it does not show."""
        ground = self.ground(pose, expected)
        met = np.isfinite(ground)
        ground, expected = ground[met], expected[met]
        moved = Expected(expected.numbers, ground, self.view.pixels_of_ground(ground), expected.angle_deg)
        return moved[self.view.shows(moved.xy)]

    def recognised(self, expected: Expected) -> Expected:
        """Those of the landmarks that the frame shows. Raises Rejected when time is up."""
        self.clock.check()
        return expected[self.guide.recognised(self.view, expected)]

    def fit(self, numbers: NDArray[np.int64], ground: Ground, sigma_px: Array, known: PoseKnowledge) -> Pose | None:
        """The pose that shows landmarks (K,) at ground offsets (K,), 1-sigma (K,) in pixels of the catalogue."""
        aim, every = (self.placement.unit, self.placement.heading_deg), np.ones(len(numbers), bool)
        points = points_of(self.guide.catalogue, numbers)
        return fit_pose(self.view, self.camera, known, aim, offsets_of(ground), points, every, sigma_px)[0]


@dataclass(frozen=True, eq=False)
class Measured:
    """Landmarks (K,), the ground offsets (K,) at which a frame shows them, and the pose that they alone give it;
    recognised: all that the frame shows under that pose."""

    seen: Expected
    ground: Ground
    pose: Pose
    recognised: Expected


def settled(scene: Scene, expected: Expected, recognised: Expected) -> Measured | None:
    """The landmarks ``recognised`` measured, and those that are then recognised of all that are ``expected``, until
    they are no more than before; None when they hold no pose."""
    measured = None
    for _ in range(_MOST_ROUNDS):
        found = _measure(scene, recognised)
        if found is None:
            return None
        seen, ground, pose = found
        before, recognised = len(recognised), scene.recognised(scene.under(pose, expected))
        measured = Measured(seen, ground, pose, recognised)
        if len(recognised) < _GROWING * before:
            break
    return measured


def _measure(scene: Scene, recognised: Expected) -> tuple[Expected, Ground, Pose] | None:
    """Landmarks measured, where, and the pose they give. Where one is, is measured too near to where it was expected
    (descriptors forgive a pixel or two), so it is expected anew from the pose and measured again."""
    seen = recognised[scene.view.shows(recognised.xy, _WHOLE_PX)]
    seen = seen[one_a_square(seen.xy, _MEASURED_PX)]
    found = None
    for _ in range(_MEASUREMENTS):
        _, off_px, _ = scene.guide.located(scene.view, seen)
        ground = seen.ground + as_ground(off_px) * scene.view.gsd_m
        pose = scene.fit(seen.numbers, ground, np.full(len(seen), _SIGMA_PX), scene.known.untold)
        if pose is None:
            return None
        found = seen, ground, pose
        seen = scene.under(pose, seen)
    return found


def told_pose(scene: Scene, measured: Measured, expected: Expected) -> Pose | None:
    """The pose with all that is known: of what was measured, of the keypoints that are landmarks of ``expected``, and
    of what was told."""
    view = scene.view
    feature, landmark = scene.guide.keypoints(view, scene.under(measured.pose, expected), _KEYPOINT_REACH_PX)
    numbers = np.concatenate([measured.seen.numbers, landmark])
    ground = np.concatenate([measured.ground, as_ground(view.ground_m[feature])])
    sigma_px = np.repeat([_SIGMA_BESIDE_PX, KEYPOINT_SIGMA_PX], [len(measured.seen), len(feature)])
    clearer = min(1.0, _MANY / max(1, len(measured.recognised))) ** _FALLS
    return scene.fit(numbers, ground, sigma_px * clearer, scene.known)
