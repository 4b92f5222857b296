"""From places on the ground that a frame shows to its whole pose, and those of them that stay with it."""

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import Array, ecef_from_geodetic, ecef_from_nadir_camera, latlon_from_unit
from onboard.hypothesis import Hypothesis
from onboard.landmarks import Catalogue
from onboard.matches import View
from onboard.pose import Pose, PoseKnowledge, solve_pose
from onboard.verification import Consensus, distinct

FEWEST_INLIERS = 4
_TIGHT_PX = 2.0  # agreement asked of an inlier once the whole pose is fitted, in pixels of the catalogue
KEYPOINT_SIGMA_PX = 1.0  # 1-sigma of a matched landmark against its keypoint, in pixels of the catalogue
_REFINEMENTS = 4


def fit_pose(
    view: View,
    camera: Camera,
    known: PoseKnowledge,
    aim: tuple[Array, float],
    ground_m: Array,
    points_ecef_m: Array,
    agree: NDArray[np.bool_],
    sigma_px: Array,
) -> tuple[Pose | None, NDArray[np.bool_]]:
    """The pose of a view that shows points (K, 3) at its ground offsets (K, 2), starting from those that ``agree``, and
    those that do in the end; no pose when fewer than FEWEST_INLIERS are left or nothing finite comes of it.

    aim: about where the view's aim lies, a unit vector (3,) and the heading there in degrees; sigma_px (K,): 1-sigma of
    each point's place in the frame, in pixels of the catalogue.
    """
    lat, lon = latlon_from_unit(aim[0])
    plane, level = view.plane, ecef_from_nadir_camera(lat, lon, aim[1])
    position = ecef_from_geodetic(lat, lon) + level @ plane.camera_m
    rotation = level @ plane.level_from_cam
    pixels = camera.project(plane.to_camera(ground_m))
    # From pixels of the frame to those of the catalogue, point by point: what is far or seen aslant weighs less.
    slope = view.gsd_m * camera.fx * plane.slope(ground_m)
    to_catalogue: Array = np.linalg.inv(slope).astype(np.float64)
    pose = None
    for _ in range(_REFINEMENTS):
        if agree.sum() < FEWEST_INLIERS:
            return None, agree
        per_sigma = to_catalogue[agree] / sigma_px[agree, None, None]
        pose = solve_pose(camera, pixels[agree], points_ecef_m[agree], position, rotation, per_sigma, known)
        if pose is None:
            return None, agree
        position, rotation = pose.position_ecef_m, pose.ecef_from_cam
        with np.errstate(invalid="ignore"):
            off = camera.project((points_ecef_m - position) @ rotation) - pixels
            close = np.linalg.norm(np.einsum("nij,nj->ni", to_catalogue, off), axis=1) < _TIGHT_PX
        if (close == agree).all():
            break
        agree = close
    return pose, agree


def fit_hypothesis(
    consensus: Consensus, view: View, camera: Camera, known: PoseKnowledge, catalogue: Catalogue
) -> Hypothesis:
    """Fit the whole pose to a consensus, then keep the matches that agree with it closely, until they stay."""
    candidate, matches = consensus.candidate, consensus.matches
    points = points_of(catalogue, matches.landmark)
    aim = np.array(candidate.unit), candidate.heading_deg
    ground_m = view.ground_m[matches.feature]
    sigma_px = np.full(len(points), KEYPOINT_SIGMA_PX)
    pose, agree = fit_pose(view, camera, known, aim, ground_m, points, consensus.agree, sigma_px)
    if pose is None:
        return Hypothesis.nothing_at(candidate)
    counted = agree & distinct(matches, np.where(agree, consensus.weight, 0), view)
    weight = consensus.weight[counted]
    return Hypothesis(candidate, pose, int(counted.sum()), float(weight.sum()), points[counted], weight)


def points_of(catalogue: Catalogue, numbers: NDArray[np.int64]) -> Array:
    """Where landmarks (K,) are, ECEF metres (K, 3), on the ellipsoid."""
    return ecef_from_geodetic(catalogue.lat_deg[numbers], catalogue.lon_deg[numbers])
