"""The other pose from which a patch of ground looks the same: as steep, from the opposite side.

Seen from afar a flat patch is foreshortened alike from both sides (the two-fold ambiguity of planar pose: Oberkampf,
DeMenthon and Davis, CVIU 1996; Schweighofer and Pinz, TPAMI 2006). A frame that is tilted and was not said to be shows
a strip of landmarks just where a level camera on the other side would see them, and what was told decides for the wrong
one of the two. Only the ground around the strip tells them apart, so that it is looked at from both.
"""

import cv2
import numpy as np

from onboard.frame_pose import Measured, Scene, settled
from onboard.geodesy import Array
from onboard.guided import Expected
from onboard.hypothesis_fit import points_of
from onboard.pose import Pose

# The middle of the strip tells how steep it is seen to some degrees only: turns that are tried, in that slant.
_TURNS = (2.0, 1.5, 2.5, 1.0)
_WORTH_SETTLING = 0.5


def likelier(scene: Scene, expected: Expected, measured: Measured) -> Measured:
    """``measured``, or the same seen from the other side when that shows more of the landmarks ``expected``; of the
    turns the one that shows most."""
    best, direct = measured, measured.recognised
    if not len(direct):
        return measured
    points = points_of(scene.guide.catalogue, direct.numbers)
    for turn in _TURNS:
        there = scene.recognised(scene.under(turned(measured.pose, points, turn), expected))
        if len(there) < _WORTH_SETTLING * len(direct):
            continue
        other = settled(scene, expected, there)
        if other is not None and len(other.recognised) > len(best.recognised):
            best = other
    return best


def turned(pose: Pose, points_ecef_m: Array, turn: float) -> Pose:
    """The camera turned about the middle of points (K, 3) by so many times the slant at which it sees them, towards the
    other side of their vertical: twice the slant is the reversal."""
    middle = np.median(points_ecef_m, axis=0)
    up, to_camera = middle / np.linalg.norm(middle), pose.position_ecef_m - middle
    axis = np.cross(to_camera, up)
    slant_rad = np.arctan2(np.linalg.norm(axis), up @ to_camera)
    rotation = cv2.Rodrigues(turn * slant_rad * axis / max(np.linalg.norm(axis), 1e-9))[0]
    return Pose(middle + rotation @ to_camera, rotation @ pose.ecef_from_cam, pose.covariance)
