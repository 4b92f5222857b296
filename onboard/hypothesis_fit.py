"""From a consensus to a hypothesis: the whole pose fitted, and the matches that stay with it."""

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import Array, ecef_from_geodetic, ecef_from_nadir_camera
from onboard.hypothesis import Hypothesis
from onboard.landmarks import Catalogue
from onboard.matches import View
from onboard.pose import PoseKnowledge, solve_pose
from onboard.verification import Consensus, distinct

FEWEST_INLIERS = 4
_TIGHT_PX = 2.0  # agreement asked of an inlier once the whole pose is fitted, in pixels of the catalogue
_LANDMARK_SIGMA_PX = 1.0  # 1-sigma of a matched landmark against its keypoint, in pixels of the catalogue
_REFINEMENTS = 4


def fit_hypothesis(
    consensus: Consensus, view: View, camera: Camera, known: PoseKnowledge, catalogue: Catalogue, gsd_m: float
) -> Hypothesis:
    """Fit the whole pose to a consensus, then keep the matches that agree with it closely, until they stay."""
    candidate, matches, agree = consensus.candidate, consensus.matches, consensus.agree
    x, y, z = candidate.unit
    lat, lon = float(np.degrees(np.arcsin(np.clip(z, -1, 1)))), float(np.degrees(np.arctan2(y, x)))
    plane, level = view.plane, ecef_from_nadir_camera(lat, lon, candidate.heading_deg)
    position = ecef_from_geodetic(lat, lon) + level @ plane.camera_m
    rotation = level @ plane.level_from_cam
    pixels, points = view.pixels[matches.feature], _points(catalogue, matches.landmark)
    # From pixels of the frame to those of the catalogue, feature by feature: what is far or seen aslant weighs less.
    slope = gsd_m * camera.fx * plane.slope(view.ground_m[matches.feature])
    to_catalogue: Array = np.linalg.inv(slope).astype(np.float64)
    pose = None
    for _ in range(_REFINEMENTS):
        if agree.sum() < FEWEST_INLIERS:
            return Hypothesis(candidate, None, 0, 0.0, agreeing=matches[agree])
        per_sigma = to_catalogue[agree] / _LANDMARK_SIGMA_PX
        pose = solve_pose(camera, pixels[agree], points[agree], position, rotation, per_sigma, known)
        if pose is None:
            return Hypothesis(candidate, None, 0, 0.0, agreeing=matches[agree])
        position, rotation = pose.position_ecef_m, pose.ecef_from_cam
        with np.errstate(invalid="ignore"):
            off = camera.project((points - position) @ rotation) - pixels
            close = np.linalg.norm(np.einsum("nij,nj->ni", to_catalogue, off), axis=1) < _TIGHT_PX
        if (close == agree).all():
            break
        agree = close
    counted = agree & distinct(matches, np.where(agree, consensus.weight, 0), view)
    weight = consensus.weight[counted]
    return Hypothesis(
        candidate, pose, int(counted.sum()), float(weight.sum()), points[counted], weight, matches[counted]
    )


def _points(catalogue: Catalogue, numbers: NDArray[np.int64]) -> Array:
    return ecef_from_geodetic(catalogue.lat_deg[numbers], catalogue.lon_deg[numbers])
