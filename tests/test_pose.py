"""Pose from perfect and from noisy landmarks, at ordinary places and at the pole."""

import cv2
import numpy as np
import pytest

from onboard.camera import Camera
from onboard.fix import Attitude, Prior
from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera, ecef_from_ned, intersect_ellipsoid
from onboard.pose import PoseKnowledge, _priors, matrix_from_quat, quat_from_matrix, solve_pose

CAMERA = Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5, "plumb_bob", (-0.1, 0.02, 0.0, 0.0, 0.0))
LOOSE = PoseKnowledge(405e3, 20e3, np.radians(10))


def scene(lat: float, lon: float, count: int, rng: np.random.Generator):
    position = ecef_from_geodetic(lat, lon, 405e3)
    rotation = ecef_from_nadir_camera(lat, lon, 33.0) @ cv2.Rodrigues(rng.normal(0, 0.01, 3))[0]
    pixels = rng.uniform([0, 0], [CAMERA.width - 1, CAMERA.height - 1], (count, 2))
    points = intersect_ellipsoid(position, CAMERA.rays(pixels) @ rotation.T)
    return position, rotation, pixels, points


@pytest.mark.parametrize("lat, lon", [(12.0, 20.0), (47.0, 179.9), (-89.7, 10.0), (90.0, 0.0)])
def test_perfect_landmarks_give_the_pose(lat: float, lon: float, rng: np.random.Generator) -> None:
    position, rotation, pixels, points = scene(lat, lon, 40, rng)
    start = position + ecef_from_ned(lat, lon) @ [15e3, -12e3, 8e3]
    turned = rotation @ cv2.Rodrigues(np.array([0.02, 0.03, 0.15]))[0]
    pose = solve_pose(CAMERA, pixels, points, start, turned, 0.01, LOOSE)
    assert pose is not None
    assert np.linalg.norm(pose.position_ecef_m - position) < 5.0
    assert np.linalg.norm(cv2.Rodrigues(pose.ecef_from_cam.T @ rotation)[0]) < 2e-5


def test_covariance_is_honest_on_gaussian_noise(rng: np.random.Generator) -> None:
    """Normalised squared error of the position over 300 scenes: mean 3, within four standard errors."""
    errors = []
    for _ in range(300):
        position, rotation, pixels, points = scene(30.0, 40.0, 40, rng)
        height = 405e3 + rng.normal(0, 1e3)
        known = PoseKnowledge(height, 1e3, np.radians(0.573))  # scene() turns by 0.01 rad per axis
        noisy = pixels + rng.normal(0, 3.0, pixels.shape)
        pose = solve_pose(CAMERA, noisy, points, position, rotation, 3.0, known)
        assert pose is not None
        move = ecef_from_ned(30.0, 40.0).T @ (pose.position_ecef_m - position)
        errors.append(move @ np.linalg.solve(pose.covariance[:3, :3], move))
    # Huber's weights and the inflation by residuals (never below 1) leave the covariance a little too large.
    assert 2.2 < np.mean(errors) < 3.0 + 4 * np.sqrt(6 / 300)


def test_outliers_weigh_little(rng: np.random.Generator) -> None:
    position, rotation, pixels, points = scene(30.0, 40.0, 60, rng)
    pixels[:6] += 60.0
    pose = solve_pose(CAMERA, pixels, points, position, rotation, 1.0, LOOSE)
    assert pose is not None and np.linalg.norm(pose.position_ecef_m - position) < 4e3


def test_known_attitude_and_place_pull(rng: np.random.Generator) -> None:
    position, rotation, pixels, points = scene(30.0, 40.0, 4, rng)
    noisy = pixels + rng.normal(0, 6.0, pixels.shape)
    bare = solve_pose(CAMERA, noisy, points, position, rotation, 6.0, LOOSE)
    attitude = Attitude(tuple(quat_from_matrix(rotation)), 1e-4)
    told = solve_pose(
        CAMERA, noisy, points, position, rotation, 6.0,
        PoseKnowledge(405e3, 20e3, np.radians(10), attitude, Prior(30.0, 40.0, 100.0)),
    )  # fmt: skip
    assert bare is not None and told is not None
    assert np.trace(told.covariance[:2, :2]) < 0.05 * np.trace(bare.covariance[:2, :2])
    assert np.linalg.norm(told.position_ecef_m - position) < np.linalg.norm(bare.position_ecef_m - position)


@pytest.mark.parametrize("told", [False, True])
def test_slopes_of_priors(told: bool, rng: np.random.Generator) -> None:
    position, rotation, _, _ = scene(30.0, 40.0, 4, rng)
    attitude = Attitude(tuple(quat_from_matrix(rotation @ cv2.Rodrigues(np.full(3, 1e-3))[0])), 0.01)
    known = PoseKnowledge(400e3, 5e3, 0.01, attitude if told else None, Prior(30.05, 39.9, 5e3))
    axes = ecef_from_ned(30.0, 40.0)
    _, slopes = _priors(position, rotation, axes, known)
    for axis, size in enumerate([1e3, 1e3, 1e3, 1e-3, 1e-3, 1e-3]):
        step = np.eye(6)[axis] * size
        ahead, behind = (
            _priors(position + axes @ move[:3], rotation @ cv2.Rodrigues(move[3:])[0], axes, known)[0]
            for move in (step, -step)
        )
        np.testing.assert_allclose(
            slopes[:, axis] * size, (ahead - behind) / 2, atol=0.02 * np.abs(ahead - behind).max() + 2e-3
        )


def test_quaternions_round_trip(rng: np.random.Generator) -> None:
    for axis in [*np.eye(3) * np.pi, *rng.normal(0, 2, (50, 3))]:
        rotation = cv2.Rodrigues(axis)[0]
        quat = quat_from_matrix(rotation)
        assert quat[0] >= 0 and np.linalg.norm(quat) == pytest.approx(1.0)
        np.testing.assert_allclose(matrix_from_quat(quat), rotation, atol=1e-9)
