"""A frame laid out anew for another pose than the one that was told.

What was told decides how a frame is rectified, and ground that the camera saw from elsewhere does not look like the map
there: of two poses the told one would win for that alone. So each is held against the frame rectified for itself. It
need not be had again: a tilted camera is nowhere nearer to the ground than a level one, so that the rectified picture
holds all that a picture of the same ground sampling distance can show.
"""

from dataclasses import replace

import cv2
import numpy as np

from onboard.frame_pose import Measured, Scene, settled
from onboard.geodesy import EARTH_RADIUS_M, Array, ecef_from_ned, geodetic_from_ecef, heading_deg_of, unit_from_latlon
from onboard.ground_plane import Direction, GroundPlane
from onboard.guided import Expected
from onboard.matches import View
from onboard.nodes import between, nodes
from onboard.picture import Picture, equalised
from onboard.placement import Placement
from onboard.pose import DEGREE_RAD, Pose
from onboard.rectify import picture_of

# A frame is laid out anew for the pose that it gave where that is so far aslant of the one it was laid out for, and so
# often at most.
_ASLANT_RAD, _MOST_TIMES = np.radians(3.0), 4
_MOST_GROUND = 8  # times the picture's own: that of a camera 20 to 45 degrees off nadir is laid out on 1.6 to 2.4


def laid_out_for_itself(scene: Scene, expected: Expected, measured: Measured) -> tuple[Scene, Expected, Measured]:
    """What was measured in a frame, measured again in the frame laid out for the pose that it gave, until that is the
    one it is laid out for: landmarks looked for where another pose has them are drawn there, however many there are.
    expected: all that the frame should show; returned with what it should show as it is laid out then. Where the
    pointing was told to a degree nothing is laid out anew: so far aslant a pose contradicts it, or is vague and looked
    at from other sides (`onboard.reversal`), and wrong places would only be given a second try."""
    if scene.known.pointing_sigma_rad <= DEGREE_RAD:
        return scene, expected, measured
    for _ in range(_MOST_TIMES):
        if np.linalg.norm(np.subtract(down_of(measured.pose), scene.view.plane.down_cam)) < _ASLANT_RAD:
            break
        anew = retaken(scene, measured.pose)
        again = settled(*anew, anew[0].recognised(anew[0].under(measured.pose, anew[1]))) if anew else None
        if anew is None or again is None:
            break
        (scene, expected), measured = anew, again
    return scene, expected, measured


def retaken(scene: Scene, pose: Pose) -> tuple[Scene, Expected] | None:
    """The frame as it looks rectified for a pose, and all landmarks that it should show then; None
    where the pose looks too far aslant to be rectified for, or past all that the frame shows."""
    lat, lon, altitude_m = (float(value) for value in geodetic_from_ecef(pose.position_ecef_m))
    plane = GroundPlane(altitude_m, down_of(pose))
    if not plane.usable:
        return None
    view = _laid_out(scene.view, plane)
    if view is None or not len(view):
        return None
    heading_deg = heading_deg_of(pose.ecef_from_cam, lat, lon)
    placement = Placement(*plane.aim(unit_from_latlon(lat, lon), heading_deg))
    reach_m = float(np.abs(view.corners).max())
    return replace(scene, view=view, placement=placement), scene.guide.expected(view, placement, 0j, reach_m)


def down_of(pose: Pose) -> Direction:
    """Geodetic down at a pose in its camera's axes."""
    lat, lon, _ = geodetic_from_ecef(pose.position_ecef_m)
    x, y, z = (pose.ecef_from_cam.T @ ecef_from_ned(float(lat), float(lon))[:, 2]).tolist()
    return x, y, z


def _laid_out(view: View, plane: GroundPlane) -> View | None:
    """A view as if it had been rectified for another plane; its features keep their descriptors. None for
    more ground than a frame of that kind can show: of a pose far out that few landmarks gave."""
    height, width = view.picture.mask.shape
    seen = _on_other((nodes(width, height) - view.centre_px) * view.gsd_m, view.plane, plane)
    seen = seen[np.isfinite(seen[:, 0])]
    (columns, rows), centre_px = picture_of(seen, view.gsd_m)
    if columns * rows > _MOST_GROUND * width * height:
        return None
    there = _on_other((nodes(columns, rows) - centre_px) * view.gsd_m, plane, view.plane)
    there = there / view.gsd_m + view.centre_px
    met = between(np.isfinite(there[:, 0]), columns, rows) == 1
    x, y = (between(part, columns, rows) for part in np.nan_to_num(there).T)
    grey = np.asarray(cv2.remap(view.picture.grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    mask = cv2.remap(view.picture.mask.astype(np.uint8), x, y, cv2.INTER_NEAREST, borderValue=0)
    picture = Picture(grey, equalised(grey), np.asarray(mask > 0) & met)
    return _with_features(replace(view, plane=plane, picture=picture, centre_px=centre_px), view)


def _with_features(anew: View, view: View) -> View:
    """A view laid out anew with those features of the one before that it shows, where and turned as it shows them."""
    turn = np.radians(view.features.angle_deg.astype(np.float64))
    ahead_m = np.stack([np.cos(turn), np.sin(turn)], axis=1) * view.gsd_m
    ground_m, ahead_m = (_on_other(at, view.plane, anew.plane) for at in (view.ground_m, view.ground_m + ahead_m))
    met = np.flatnonzero(np.isfinite(ground_m + ahead_m).all(axis=1))
    ground_m, (right, down) = ground_m[met], (ahead_m - ground_m)[met].T
    features = replace(
        view.features[met],
        xy=(ground_m / anew.gsd_m + anew.centre_px).astype(np.float32),
        angle_deg=np.degrees(np.arctan2(down, right)).astype(np.float32),
    )
    return replace(
        anew, features=features, ground_m=ground_m, way_rad=np.hypot(*ground_m.T) / EARTH_RADIUS_M,
        bearing_deg=np.degrees(np.arctan2(ground_m[:, 0], -ground_m[:, 1])), spot=view.spot[met],
        pixels=view.pixels[met],
    )  # fmt: skip


def _on_other(ground_m: Array, plane: GroundPlane, other: GroundPlane) -> Array:
    """Ground offsets (N, 2) on another plane of what is seen at ground offsets (N, 2) of the first; NaN where it is
    not."""
    rays = plane.to_camera(ground_m)
    return other.from_camera(rays / np.linalg.norm(rays, axis=1, keepdims=True))
