"""The other pose from which a patch of ground looks the same: as steep, from the opposite side.

Seen from afar a flat patch is foreshortened alike from both sides (the two-fold ambiguity of planar pose: Oberkampf,
DeMenthon and Davis, CVIU 1996; Schweighofer and Pinz, TPAMI 2006). A frame that is tilted and was not said to be shows
a strip of landmarks just where a level camera on the other side would see them, and what was told decides for the wrong
one of the two, or draws the pose to somewhere between. Only the ground around the strip tells them apart, so that it is
looked at from both sides, and from farther aslant, in the frame laid out for each.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from onboard.frame_pose import Measured, Scene, settled
from onboard.geodesy import Array
from onboard.guided import Expected
from onboard.hypothesis_fit import points_of
from onboard.pose import CREDIBLE_SIGMAS, Pose, contradiction
from onboard.retake import retaken

# The middle of the strip tells how steep it is seen to some degrees only, and what was told has drawn it: turns that
# are tried, in that slant. One steepens it, one is from straight above (docs/decisions.md).
_TURNS = (-1.0, 1.0, 1.5, 2.0)
_RETAKES = 2  # of a side: laid out anew for where it settled, it may settle farther on
# A side that does not contradict what was told is another one, not the same as vaguely seen, where it shows so many
# times more.
_ANOTHER_SHARE = 1.2

Side = tuple[Scene, Expected, Measured]  # a frame as laid out, landmarks that it should show then, and what it shows


def likelier(scene: Scene, expected: Expected, measured: Measured) -> Side:
    """``measured``, or another side of the frame that shows more landmarks, or as many where it contradicts what was
    told; expected: all that the frame should show. Of a sample the sides of weak frames show too few to tell them apart
    (docs/decisions.md)."""
    best = scene, expected, measured
    if not len(measured.recognised):
        return best
    shown = len(scene.recognised(scene.under(measured.pose, expected)))
    points = points_of(scene.guide.catalogue, measured.recognised.numbers)
    for turn in _TURNS:
        for side in _sides(scene, turned(measured.pose, points, turn)):
            other = side[2]
            contradicted = contradiction(other.pose, scene.known).sigmas > CREDIBLE_SIGMAS
            if len(other.recognised) < (shown if contradicted else _ANOTHER_SHARE * shown):
                continue
            best, shown = side, len(other.recognised)
            if contradicted:  # no fix, whatever else there is to see
                return best
    return best


def _sides(scene: Scene, pose: Pose) -> Iterator[Side]:
    """The frame laid out for a pose, and settled; where that contradicts what was told, laid out anew for it."""
    for _ in range(_RETAKES):
        anew = retaken(scene, pose)
        if anew is None:
            return
        scene, expected = anew
        measured = settled(scene, expected, scene.recognised(scene.under(pose, expected)))
        if measured is None:
            return
        yield scene, expected, measured
        pose = measured.pose
        if contradiction(pose, scene.known).sigmas <= CREDIBLE_SIGMAS:
            return


def turned(pose: Pose, points_ecef_m: Array, turn: float) -> Pose:
    """The camera turned about the middle of points (K, 3) by so many times the slant at which it sees them, towards the
    other side of their vertical: twice the slant is the reversal."""
    middle = np.median(points_ecef_m, axis=0)
    up, to_camera = middle / np.linalg.norm(middle), pose.position_ecef_m - middle
    axis = np.cross(to_camera, up)
    slant_rad = np.arctan2(np.linalg.norm(axis), up @ to_camera)
    rotation = cv2.Rodrigues(turn * slant_rad * axis / max(np.linalg.norm(axis), 1e-9))[0]
    return Pose(middle + rotation @ to_camera, rotation @ pose.ecef_from_cam, pose.covariance)
