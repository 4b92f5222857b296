"""A tilted frame whose landmarks lie where a level camera on the other side would show them."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.clock import Clock
from onboard.frame_pose import Measured, Scene
from onboard.geodesy import (
    Array,
    destination,
    ecef_from_geodetic,
    ecef_from_nadir_camera,
    geodetic_from_ecef,
    intersect_ellipsoid,
    unit_from_latlon,
)
from onboard.ground_plane import as_ground
from onboard.guided import Expected
from onboard.matches import View
from onboard.placement import Placement
from onboard.pose import Pose, PoseKnowledge, contradiction, vagueness
from onboard.retake import retaken
from onboard.reversal import likelier, turned
from onboard.verification import offsets_from
from tests.landmark_worlds import view_with

LAT, LON, HEADING, ALTITUDE_M, TILT_DEG = 20.0, 30.0, 70.0, 405e3, 30.0
KNOWN = PoseKnowledge(ALTITUDE_M, 0.01 * ALTITUDE_M, np.radians(1.0))
CAMERA = Camera(640, 480, 600.0, 600.0, 319.5, 239.5)
FORGIVEN_PX, FOLLOWED_PX = 2.5, 1.5


def tilted(tilt_deg: float) -> Pose:
    """A camera that looks so far ahead of the nadir."""
    ahead = cv2.Rodrigues(np.array([np.radians(tilt_deg), 0, 0]))[0]
    position, level = ecef_from_geodetic(LAT, LON, ALTITUDE_M), ecef_from_nadir_camera(LAT, LON, HEADING)
    return Pose(position, level @ ahead, np.eye(6) * np.nan)


@dataclass(frozen=True, eq=False)
class Eye:
    """Guided matching of a frame of which it is known where the camera saw each landmark, ``rays`` (N, 3): nearer than
    FORGIVEN_PX to where it is expected one is recognised, and FOLLOWED_PX of that are measured."""

    catalogue: Any
    rays: Array

    def off_px(self, view: View, expected: Expected) -> Array:
        ground = as_ground(view.plane.from_camera(self.rays[expected.numbers]))
        return view.pixels_of_ground(ground) - expected.xy

    def recognised(self, view: View, expected: Expected) -> NDArray[np.bool_]:
        return np.linalg.norm(self.off_px(view, expected), axis=1) < FORGIVEN_PX

    def located(self, view: View, expected: Expected) -> tuple[None, Array, None]:
        return None, self.off_px(view, expected).clip(-FOLLOWED_PX, FOLLOWED_PX), None

    def expected(self, view: View, placement: Placement, middle: complex, radius_m: float) -> Expected:
        ground = as_ground(offsets_from(placement.unit, placement.heading_deg, self.catalogue, self.numbers)[0])
        xy = view.pixels_of_ground(ground)
        seen = np.flatnonzero(view.shows(xy))
        return Expected(seen, ground[seen], xy[seen], np.zeros(len(seen), np.float32))

    @property
    def numbers(self) -> NDArray[np.int64]:
        return np.arange(len(self.rays))


def frame_of(truth: Pose, believed: Pose) -> tuple[Scene, Expected]:
    """What a camera of one pose sees, taken for that of a level one near another; landmarks 15 km apart."""
    lat, lon, _ = geodetic_from_ecef(believed.position_ecef_m)
    x, y = (part.ravel() for part in np.meshgrid(*[np.arange(-450e3, 450e3, 15e3)] * 2))
    at_lat, at_lon = destination(lat, lon, np.degrees(np.arctan2(x, y)), np.hypot(x, y))
    nothing, unit = np.zeros(len(x)), unit_from_latlon(at_lat, at_lon)
    catalogue: Any = SimpleNamespace(lat_deg=at_lat, lon_deg=at_lon, unit=unit, angle_deg=nothing)
    view = replace(view_with(np.zeros((1, 2)), np.zeros(1), np.zeros((1, 8), np.float32)), centre_px=(320.0, 240.0))
    rays = (ecef_from_geodetic(at_lat, at_lon) - truth.position_ecef_m) @ truth.ecef_from_cam
    guide: Any = Eye(catalogue, rays / np.linalg.norm(rays, axis=1, keepdims=True))
    placement = Placement(unit_from_latlon(lat, lon), HEADING)
    landmarks = guide.expected(view, placement, 0j, np.inf)
    return Scene(guide, view, CAMERA, KNOWN, placement, Clock(None)), landmarks


def measured_under(scene: Scene, landmarks: Expected, pose: Pose, sigma: float) -> Measured:
    """What is recognised under a pose, and that pose, told to be good to so many of the telling's sigmas."""
    shown = scene.recognised(scene.under(pose, landmarks))
    covariance = np.diag([(sigma * 7e3) ** 2, 7e3**2, 4e3**2, *3 * [np.radians(sigma) ** 2]])
    return Measured(shown, shown.ground, Pose(pose.position_ecef_m, pose.ecef_from_cam, covariance), shown)


def slant_point(pose: Pose, slant_deg: float) -> Array:
    """Where a camera that looks ahead sees the ground ahead of it at a slant, ECEF (1, 3)."""
    back = np.radians(TILT_DEG - slant_deg)
    ray = pose.ecef_from_cam @ np.array([0.0, np.sin(back), np.cos(back)])
    return intersect_ellipsoid(pose.position_ecef_m, ray[None])


@pytest.fixture(scope="module")
def strip() -> tuple[Pose, Pose, Scene, Expected]:
    """A frame tilted by 30 degrees, the level pose under which a strip of it is recognised, and the landmarks."""
    truth = tilted(TILT_DEG)
    level = turned(truth, slant_point(truth, 14.0), 2.0)
    return truth, level, *frame_of(truth, level)


def test_a_reversed_camera_sees_the_middle_where_it_was_and_as_steep() -> None:
    truth = tilted(TILT_DEG)
    point = slant_point(truth, 14.0)
    for turn, slant_deg in ((-1.0, 28.0), (0.0, 14.0), (1.0, 0.0), (2.0, -14.0)):
        pose = turned(truth, point, turn)
        there, here = ((point - one.position_ecef_m) @ one.ecef_from_cam for one in (pose, truth))
        np.testing.assert_allclose(there, here, atol=1e-3)  # metres
        lat, lon, _ = geodetic_from_ecef(pose.position_ecef_m)
        axis = ecef_from_nadir_camera(lat, lon, HEADING)[:, 2] @ pose.ecef_from_cam[:, 2]
        # Turned by twice the slant it looks as far to the other side of the middle; verticals there and here differ.
        assert np.degrees(np.arccos(axis)) == pytest.approx(TILT_DEG - 14 + slant_deg, abs=3.0)


def test_a_side_from_below_the_ground_is_none() -> None:
    level = tilted(0.0)
    scene, _ = frame_of(level, level)
    ray = level.ecef_from_cam @ np.array([0.0, -np.sin(np.radians(50)), np.cos(np.radians(50))])
    below = turned(level, intersect_ellipsoid(level.position_ecef_m, ray[None]), -1.0)
    assert geodetic_from_ecef(below.position_ecef_m)[2] < 0
    assert retaken(scene, below) is None


def test_a_strip_is_seen_alike_from_both_sides(strip: tuple[Pose, Pose, Scene, Expected]) -> None:
    truth, level, scene, landmarks = strip
    shown = scene.recognised(scene.under(level, landmarks))
    assert 30 < len(shown) < 0.5 * len(scene.recognised(scene.under(truth, landmarks)))
    assert np.linalg.norm(truth.position_ecef_m - level.position_ecef_m) > 150e3


def test_the_ground_around_a_strip_tells_from_which_side(strip: tuple[Pose, Pose, Scene, Expected]) -> None:
    truth, level, scene, landmarks = strip
    measured = measured_under(scene, landmarks, level, 2.0)
    assert contradiction(measured.pose, KNOWN).sigmas < 3
    assert len(measured.recognised)
    anew, _, found = likelier(scene, landmarks, measured)
    assert anew is not scene
    assert len(found.recognised) > len(measured.recognised)
    assert np.linalg.norm(found.pose.position_ecef_m - truth.position_ecef_m) < 2e3
    assert contradiction(found.pose, KNOWN).sigmas > 10


def test_a_level_frame_stays_level() -> None:
    truth = tilted(0.0)
    scene, landmarks = frame_of(truth, truth)
    measured = measured_under(scene, landmarks, truth, 2.0)
    aside = measured.recognised[measured.recognised.xy[:, 1] < 160]  # the rest is under cloud
    cloudy = Measured(aside, aside.ground, measured.pose, aside)
    rays = np.full_like(scene.guide.rays, np.nan)
    rays[aside.numbers] = scene.guide.rays[aside.numbers]
    scene = replace(scene, guide=Eye(scene.guide.catalogue, rays))
    assert likelier(scene, landmarks, cloudy)[2] is cloudy


def test_where_nothing_is_recognised_there_is_nothing_to_turn_about(
    strip: tuple[Pose, Pose, Scene, Expected],
) -> None:
    _, level, scene, landmarks = strip
    nothing = Measured(landmarks[:4], landmarks[:4].ground, level, landmarks[:0])
    assert likelier(scene, landmarks, nothing)[2] is nothing


def test_how_vague_a_pose_is_counts_in_what_was_told(strip: tuple[Pose, Pose, Scene, Expected]) -> None:
    level = strip[1]
    pose = Pose(level.position_ecef_m, level.ecef_from_cam, np.diag([1, 1, 1, *3 * [np.radians(0.5) ** 2]]))
    assert vagueness(pose, KNOWN) == pytest.approx(0.5, rel=0.01)
    assert vagueness(pose, replace(KNOWN, pointing_sigma_rad=np.radians(0.1))) == pytest.approx(5.0, rel=0.01)
    loosely = replace(KNOWN, pointing_sigma_rad=np.radians(5.0))
    assert vagueness(pose, loosely) == pytest.approx(0.5, rel=0.01), "who was told little is no surer for it"
    high = Pose(level.position_ecef_m, level.ecef_from_cam, np.diag([1, 1, 12.15e3**2, *3 * [1e-12]]))
    assert vagueness(high, KNOWN) == pytest.approx(3.0, rel=0.01)
