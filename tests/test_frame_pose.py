"""The pose of a recognised frame: where a pose shows landmarks, keypoints that are landmarks, and what they give."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onboard import Localizer
from onboard.clock import Clock
from onboard.frame_pose import Scene, settled, told_pose
from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera, unit_from_latlon
from onboard.ground_plane import offsets_of
from onboard.guided import Expected, Guide
from onboard.hypothesis_fit import points_of
from onboard.intake import Rejected
from onboard.matches import View
from onboard.placement import Placement
from onboard.pose import Pose
from tests.look import view_from_700km

LAT, LON, HEADING, ALTITUDE_M = 38.0, 100.0, 300.0, 700e3
PLACEMENT = Placement(unit_from_latlon(LAT, LON), HEADING)
TRUTH = Pose(ecef_from_geodetic(LAT, LON, ALTITUDE_M), ecef_from_nadir_camera(LAT, LON, HEADING), np.eye(6) * np.nan)


@pytest.fixture(scope="module")
def view(localizer: Localizer, blue_marble: Path) -> View:
    return view_from_700km(localizer, blue_marble, LAT, LON, HEADING)


@pytest.fixture(scope="module")
def everything(guide: Guide, view: View) -> Expected:
    return guide.expected(view, PLACEMENT, 0j, float(np.abs(view.corners).max()))


@pytest.fixture(scope="module")
def scene(localizer: Localizer, guide: Guide, view: View) -> Scene:
    return Scene(guide, view, localizer.camera, localizer.knowledge(), PLACEMENT, Clock(None))


def test_landmarks_lie_where_a_pose_shows_them(scene: Scene, everything: Expected) -> None:
    there, view = scene.under(TRUTH, everything), scene.view
    assert len(there) > 0.9 * len(everything)
    pixels = scene.camera.project(view.plane.to_camera(offsets_of(there.ground)))
    rays = (points_of(scene.guide.catalogue, there.numbers) - TRUTH.position_ecef_m) @ TRUTH.ecef_from_cam
    np.testing.assert_allclose(pixels, scene.camera.project(rays), atol=1e-3)
    np.testing.assert_allclose(there.xy, view.pixels_of_ground(there.ground))
    beyond = Pose(-TRUTH.position_ecef_m, TRUTH.ecef_from_cam, TRUTH.covariance)
    assert len(scene.under(beyond, everything)) == 0


def test_keypoints_are_landmarks_where_they_are_expected(scene: Scene, everything: Expected) -> None:
    guide, view, there = scene.guide, scene.view, scene.under(TRUTH, everything)
    feature, landmark = guide.keypoints(view, there, 2.0)
    assert len(feature) > 100 and len(set(feature)) == len(set(landmark)) == len(feature)
    at = dict(zip(there.numbers.tolist(), there.xy))
    off_px = np.linalg.norm(view.features.xy[feature] - [at[number] for number in landmark.tolist()], axis=1)
    assert off_px.max() < 2.0 and np.median(off_px) < 0.7
    aside = Expected(there.numbers, there.ground + 20 * view.gsd_m, there.xy + np.array([20, 0]), there.angle_deg)
    assert len(guide.keypoints(view, aside, 2.0)[0]) < len(feature) / 5


def test_the_pose_is_right_alone_and_better_with_what_was_told(scene: Scene, everything: Expected) -> None:
    measured = settled(scene, everything, scene.recognised(everything))
    assert measured is not None and scene.view.shows(measured.seen.xy, 12).all()
    told = told_pose(scene, measured, everything)
    assert told is not None
    for pose in (measured.pose, told):
        assert np.linalg.norm(pose.position_ecef_m - TRUTH.position_ecef_m) < 7400
    assert np.trace(told.covariance[:3, :3]) < np.trace(measured.pose.covariance[:3, :3])
    assert settled(scene, everything, everything[:3]) is None


def test_time_is_up_while_a_pose_is_looked_for(scene: Scene, everything: Expected) -> None:
    late = replace(scene, clock=Clock(-1.0))
    with pytest.raises(Rejected):
        settled(late, everything, scene.recognised(everything))


def test_a_corner_of_the_frame_is_settled_with_all_of_it(scene: Scene, everything: Expected) -> None:
    recognised = scene.recognised(everything)
    leftmost = recognised.xy[recognised.xy[:, 0].argmin()]
    corner = recognised[np.abs(recognised.xy - leftmost).max(axis=1) < 100]
    measured = settled(scene, everything, corner)
    assert measured is not None and len(measured.recognised) > max(0.9 * len(recognised), 2 * len(corner))
    assert np.linalg.norm(measured.pose.position_ecef_m - TRUTH.position_ecef_m) < 7400
