"""The pose of a frame from the landmarks recognised in it: by themselves alone, and with what was told.

Where a landmark is, two things tell: its likeness around the place where it is expected, for every landmark, and a
keypoint found there, for a few. Keypoints err each for itself; likenesses of neighbours err together, as haze and
shadow draw them, so that they weigh little where there are keypoints (docs/results.md).
"""

from dataclasses import dataclass

import numpy as np

from onboard.camera import Camera
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
# Where a patch reaches over the edge of the picture it is a mirror image, which draws what is measured inwards: a
# picture that seems smaller, from higher up.
_WHOLE_PX = PATCH_PX // 2
# 1-sigma of a landmark placed by likeness: alone, and beside keypoints (chosen on simulated fixes, docs/results.md).
_SIGMA_PX, _SIGMA_BESIDE_PX = 1.25, 2.0
_KEYPOINT_REACH_PX = 2.0


@dataclass(frozen=True, eq=False)
class Measured:
    """Landmarks (K,), the ground offsets (K,) at which a frame shows them, and the pose that they alone give it."""

    seen: Expected
    ground: Ground
    pose: Pose


def measure(
    guide: Guide, view: View, camera: Camera, known: PoseKnowledge, placement: Placement, seen: Expected
) -> Measured | None:
    """Landmarks that a frame shows, measured; None when they hold no pose. Where one is, is measured too near to where
    it was expected (descriptors forgive a pixel or two), so it is expected anew from the pose and measured again."""
    seen = seen[view.shows(seen.xy, _WHOLE_PX)]
    seen = seen[one_a_square(seen.xy, _MEASURED_PX)]
    aim = placement.unit, placement.heading_deg
    for _ in range(_MEASUREMENTS):
        _, off_px, _ = guide.located(view, seen)
        ground = seen.ground + as_ground(off_px) * view.gsd_m
        points = points_of(guide.catalogue, seen.numbers)
        every, sigma_px = np.ones(len(seen), bool), np.full(len(seen), _SIGMA_PX)
        pose, _ = fit_pose(view, camera, known.untold, aim, offsets_of(ground), points, every, sigma_px)
        if pose is None:
            return None
        measured = Measured(seen, ground, pose)
        seen = under(pose, guide, view, seen)
    return measured


def told_pose(
    guide: Guide, view: View, camera: Camera, known: PoseKnowledge, placement: Placement, measured: Measured,
    expected: Expected,
) -> Pose | None:  # fmt: skip
    """The pose with all that is known: of what was measured, of the keypoints that are landmarks of ``expected``, and
    of what was told."""
    feature, landmark = guide.keypoints(view, under(measured.pose, guide, view, expected), _KEYPOINT_REACH_PX)
    numbers = np.concatenate([measured.seen.numbers, landmark])
    ground_m = np.concatenate([offsets_of(measured.ground), view.ground_m[feature]])
    sigma_px = np.repeat([_SIGMA_BESIDE_PX, KEYPOINT_SIGMA_PX], [len(measured.seen), len(feature)])
    aim, every = (placement.unit, placement.heading_deg), np.ones(len(numbers), bool)
    pose, _ = fit_pose(view, camera, known, aim, ground_m, points_of(guide.catalogue, numbers), every, sigma_px)
    return pose


def under(pose: Pose, guide: Guide, view: View, expected: Expected) -> Expected:
    """Landmarks where a camera of this pose shows them; without those that it does not show."""
    rays = (points_of(guide.catalogue, expected.numbers) - pose.position_ecef_m) @ pose.ecef_from_cam
    ground = as_ground(view.plane.from_camera(rays / np.linalg.norm(rays, axis=1, keepdims=True)))
    met = np.isfinite(ground)
    ground, expected = ground[met], expected[met]
    moved = Expected(expected.numbers, ground, view.pixels_of_ground(ground), expected.angle_deg)
    return moved[view.shows(moved.xy)]
