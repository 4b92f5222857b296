"""A frame rectified for one pose, laid out anew for another."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.clock import Clock
from onboard.features import RIM_PX
from onboard.frame_pose import Scene
from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera
from onboard.ground_plane import GroundPlane, as_ground
from onboard.guided import Expected
from onboard.matches import View
from onboard.picture import Picture, shrink_mask
from onboard.placement import Placement
from onboard.pose import Pose, PoseKnowledge
from onboard.rectify import rectifier
from onboard.retake import retaken
from tests.landmark_worlds import view_with

LAT, LON, HEADING, ALTITUDE_M, GSD_M = 20.0, 30.0, 70.0, 405e3, 930.0
CAMERA = Camera(1280, 960, 1200.0, 1200.0, 639.5, 479.5)


class NoLandmarks:
    """Guided matching where nothing is to be seen."""

    def expected(self, view: View, placement: Placement, middle: complex, radius_m: float) -> Expected:
        return Expected(np.empty(0, np.int64), np.empty(0, complex), np.empty((0, 2)), np.empty(0, np.float32))


def tilted(tilt_deg: float) -> Pose:
    """A camera that looks so far ahead of the nadir."""
    ahead = cv2.Rodrigues(np.array([np.radians(tilt_deg), 0, 0]))[0]
    position, level = ecef_from_geodetic(LAT, LON, ALTITUDE_M), ecef_from_nadir_camera(LAT, LON, HEADING)
    return Pose(position, level @ ahead, np.eye(6))


def taken_for_level(frame: NDArray[np.uint8]) -> Scene:
    """A frame, whatever its camera's tilt, rectified as one of a level camera."""
    rectified = rectifier(CAMERA, GroundPlane(ALTITUDE_M), GSD_M)(frame)
    picture = Picture.of(rectified.image, shrink_mask(rectified.mask, RIM_PX))
    nothing = view_with(np.zeros((1, 2)), np.zeros(1), np.zeros((1, 8), np.float32))
    view = replace(nothing, picture=picture, plane=rectified.plane, centre_px=rectified.centre_px)
    guide: Any = NoLandmarks()
    known = PoseKnowledge(ALTITUDE_M, 0.01 * ALTITUDE_M, np.radians(1.0))
    return Scene(guide, view, CAMERA, known, Placement(np.array([1.0, 0.0, 0.0]), 0.0), Clock(None))


@pytest.mark.parametrize("tilt_deg", [0.0, 15.0, 30.0])
def test_it_is_the_picture_that_would_have_been_rectified_for_the_pose(
    tilt_deg: float, rng: np.random.Generator
) -> None:
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (960, 1280)).astype(np.float32), (0, 0), 12.0)
    grey = cv2.normalize(noise, np.empty_like(noise), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    frame = np.repeat(grey[..., None], 3, axis=2)
    pose = tilted(tilt_deg)
    anew = retaken(taken_for_level(frame), pose)
    assert anew is not None
    view = anew[0].view
    assert np.degrees(view.plane.off_nadir_rad) == pytest.approx(tilt_deg, abs=0.2)  # ellipsoid and sphere differ
    asked = rectifier(CAMERA, view.plane, GSD_M)(frame)
    # Both count pixels from the aim; what they show there must be the same.
    shift = np.array(asked.centre_px) - view.centre_px
    matrix = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = view.picture.mask.shape[::-1]
    wanted = cv2.warpAffine(asked.image[..., 0], matrix, size, flags=how).astype(float)
    seen = cv2.warpAffine(asked.mask.astype(np.uint8), matrix, size, flags=how) == 1
    both = cv2.erode((seen & view.picture.mask).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert both.mean() > 0.4
    off = np.abs(view.picture.grey.astype(float) - wanted)[both]
    assert np.percentile(off, 99) < 4.0  # grey values, of a picture that has 255


def test_features_stay_where_the_camera_saw_them_and_turn_with_the_picture(rng: np.random.Generator) -> None:
    scene = taken_for_level(np.zeros((960, 1280, 3), np.uint8))
    ground_m, angle_deg = rng.uniform(-150e3, 150e3, (50, 2)), rng.uniform(0, 360, 50)
    level = view_with(ground_m, angle_deg, np.zeros((50, 8), np.float32))
    pixels = CAMERA.project(level.plane.to_camera(ground_m))
    view = replace(level, picture=scene.view.picture, centre_px=scene.view.centre_px, pixels=pixels)
    anew = retaken(replace(scene, view=view), tilted(25.0))
    assert anew is not None
    view = anew[0].view
    assert len(view) == 50
    np.testing.assert_allclose(CAMERA.project(view.plane.to_camera(view.ground_m)), pixels, atol=1e-3)
    np.testing.assert_allclose(view.pixels_of_ground(as_ground(view.ground_m)), view.features.xy, atol=1e-3)
    # A neighbour a little ahead in the direction of each is ahead of it there, too.
    turn = np.radians(angle_deg)
    ahead = CAMERA.project(level.plane.to_camera(ground_m + 500 * np.stack([np.cos(turn), np.sin(turn)], axis=1)))
    ahead_m = view.plane.from_camera(CAMERA.rays(ahead)) - view.ground_m
    off_deg = np.degrees(np.arctan2(ahead_m[:, 1], ahead_m[:, 0])) - view.features.angle_deg
    np.testing.assert_allclose((off_deg + 180) % 360 - 180, 0, atol=0.2)


def test_the_placement_is_where_the_pose_looks() -> None:
    pose = tilted(30.0)
    anew = retaken(taken_for_level(np.zeros((960, 1280, 3), np.uint8)), pose)
    assert anew is not None
    placement = anew[0].placement
    aim = pose.position_ecef_m / np.linalg.norm(pose.position_ecef_m)
    way_deg = np.degrees(np.arccos(placement.unit @ aim))
    assert way_deg == pytest.approx(np.degrees(anew[0].view.plane.nadir_way_rad), abs=0.2)
    assert placement.heading_deg == pytest.approx(HEADING, abs=2.0)  # meridians converge


def test_what_looks_past_the_ground_is_not_laid_out() -> None:
    assert retaken(taken_for_level(np.zeros((960, 1280, 3), np.uint8)), tilted(70.0)) is None


def test_a_pose_far_out_is_not_laid_out() -> None:
    """Few landmarks may give any altitude, whose ground would not fit into memory."""
    level = tilted(0.0)
    far = replace(level, position_ecef_m=ecef_from_geodetic(LAT, LON, 20_000e3))
    assert retaken(taken_for_level(np.zeros((960, 1280, 3), np.uint8)), far) is None
