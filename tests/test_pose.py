"""Pose from perfect and from noisy landmarks, at ordinary places and at the pole."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from onboard.camera import Camera
from onboard.fix import Attitude, Prior, Vertical
from onboard.geodesy import (
    EARTH_RADIUS_M,
    destination,
    distance_m,
    ecef_from_geodetic,
    ecef_from_nadir_camera,
    ecef_from_ned,
    geodetic_from_ecef,
    intersect_ellipsoid,
)
from onboard.ground_plane import GroundPlane
from onboard.pose import (
    Pose,
    PoseKnowledge,
    _Level,
    _priors,
    contradiction,
    matrix_from_quat,
    quat_from_matrix,
    solve_pose,
)

CAMERA = Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5, "plumb_bob", (-0.1, 0.02, 0.0, 0.0, 0.0))
LOOSE = PoseKnowledge(405e3, 20e3, np.radians(10))


def scene(lat: float, lon: float, count: int, rng: np.random.Generator, tilt_deg: float = 0.0):
    position = ecef_from_geodetic(lat, lon, 405e3)
    tilted = cv2.Rodrigues(np.array([np.radians(tilt_deg), 0.0, 0.0]))[0]
    rotation = ecef_from_nadir_camera(lat, lon, 33.0) @ tilted @ cv2.Rodrigues(rng.normal(0, 0.01, 3))[0]
    pixels = rng.uniform([0, 0], [CAMERA.width - 1, CAMERA.height - 1], (count, 2))
    points = intersect_ellipsoid(position, CAMERA.rays(pixels) @ rotation.T)
    return position, rotation, pixels, points


@pytest.mark.parametrize("lat, lon", [(12.0, 20.0), (47.0, 179.9), (-89.7, 10.0), (90.0, 0.0)])
def test_perfect_landmarks_give_the_pose(lat: float, lon: float, rng: np.random.Generator) -> None:
    position, rotation, pixels, points = scene(lat, lon, 40, rng)
    start = position + ecef_from_ned(lat, lon) @ [15e3, -12e3, 8e3]
    turned = rotation @ cv2.Rodrigues(np.array([0.02, 0.03, 0.15]))[0]
    pose = solve_pose(CAMERA, pixels, points, start, turned, np.eye(2) / 0.01, LOOSE)
    assert pose is not None
    assert np.linalg.norm(pose.position_ecef_m - position) < 5.0
    assert np.linalg.norm(cv2.Rodrigues(pose.ecef_from_cam.T @ rotation)[0]) < 2e-5


def test_where_the_iteration_starts_does_not_show(rng: np.random.Generator) -> None:
    """North and east at the start are others across the pole; the pose and its covariance are not."""
    position, rotation, pixels, points = scene(89.97, 10.0, 12, rng)
    narrow = pixels * [0.3, 1.0]  # knows north and east unequally well
    points = intersect_ellipsoid(position, CAMERA.rays(narrow) @ rotation.T)
    across = ecef_from_geodetic(89.95, -120.0, 405e3)
    known = replace(LOOSE, prior=Prior(89.96, 100.0, 30e3))
    near, far = (
        solve_pose(CAMERA, narrow, points, start, rotation, np.eye(2) / 3.0, known) for start in (position, across)
    )
    assert near is not None and far is not None
    assert np.linalg.norm(near.position_ecef_m - far.position_ecef_m) < 0.5
    np.testing.assert_allclose(near.covariance, far.covariance, atol=1e-3 * near.covariance[:3, :3].max())
    spread = np.linalg.eigvalsh(near.covariance[:2, :2])
    assert spread[1] > 1.2 * spread[0], "a round one would show nothing"


@pytest.mark.parametrize("lat, lon", [(0.0, 0.0), (60.0, 179.0), (89.98, -30.0)])
def test_a_place_told_is_as_far_off_as_it_is(lat: float, lon: float) -> None:
    position = ecef_from_geodetic(lat, lon, 405e3)
    for azimuth in (0.0, 40.0, 90.0, 250.0):
        for way_m in (1e3, 100e3, 5e6, 19e6):
            told_lat, told_lon = (float(value) for value in destination(lat, lon, azimuth, way_m))
            known = replace(LOOSE, prior=Prior(told_lat, told_lon, 1e3))
            north, east = (
                _priors(position, ecef_from_nadir_camera(lat, lon, 0.0), _Level.at(position), known)[0][-2:] * 1e3
            )
            expected = -way_m * np.array([np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))])
            np.testing.assert_allclose([north, east], expected, atol=2.0)


def test_covariance_is_honest_on_gaussian_noise(rng: np.random.Generator) -> None:
    """Normalised squared error of the position over 300 scenes: mean 3, within four standard errors."""
    errors = []
    for _ in range(300):
        position, rotation, pixels, points = scene(30.0, 40.0, 40, rng)
        height = 405e3 + rng.normal(0, 1e3)
        known = PoseKnowledge(height, 1e3, np.radians(0.573))  # scene() turns by 0.01 rad per axis
        noisy = pixels + rng.normal(0, 3.0, pixels.shape)
        pose = solve_pose(CAMERA, noisy, points, position, rotation, np.eye(2) / 3.0, known)
        assert pose is not None
        move = ecef_from_ned(30.0, 40.0).T @ (pose.position_ecef_m - position)
        errors.append(move @ np.linalg.solve(pose.covariance[:3, :3], move))
    # Huber's weights and the inflation by residuals (never below 1) leave the covariance a little too large.
    assert 2.2 < np.mean(errors) < 3.0 + 4 * np.sqrt(6 / 300)


def oblique_fit(tilt_deg: float, sigma_rad: float, rng: np.random.Generator, count: int = 60):
    """Errors of the position (north, east, down) and their covariance, where the ground is off by 1 km a landmark and
    down by ``sigma_rad`` an axis."""
    position, rotation, pixels, points = scene(30.0, 40.0, count, rng, tilt_deg)
    plane = GroundPlane(405e3, Vertical.off_nadir(tilt_deg, 0.0, sigma_rad).down_cam)
    ground = plane.from_camera(CAMERA.rays(pixels))
    seen = np.isfinite(ground[:, 0])
    lat, lon, _ = geodetic_from_ecef(points[seen])
    off_m = rng.normal(0, 1e3, (len(lat), 2))
    mapped = points[seen] + np.einsum("nij,nj->ni", ecef_from_ned(lat, lon)[..., :2], off_m)
    told = cv2.Rodrigues(rng.normal(0, sigma_rad, 3))[0] @ (rotation.T @ ecef_from_ned(30.0, 40.0)[:, 2])
    known = PoseKnowledge(405e3 + rng.normal(0, 3e3), 3e3, sigma_rad, down_cam=tuple(told.tolist()))
    per_sigma = np.linalg.inv(1e3 * CAMERA.fx * plane.slope(ground[seen]))
    pose = solve_pose(CAMERA, pixels[seen], mapped, position, rotation, per_sigma, known)
    assert pose is not None
    return ecef_from_ned(30.0, 40.0).T @ (pose.position_ecef_m - position), pose.covariance[:3, :3]


@pytest.mark.parametrize("tilt_deg", [0.0, 30.0, 40.0])
def test_covariance_is_honest_off_nadir(tilt_deg: float, rng: np.random.Generator) -> None:
    """Landmarks off on the ground, a told vertical off by its sigma: the mean of 200 normalised squared errors is 3,
    within four standard errors, the Huber weights' share aside."""
    fits = [oblique_fit(tilt_deg, np.radians(0.7), rng) for _ in range(200)]
    assert 2.1 < np.mean([move @ np.linalg.solve(spread, move) for move, spread in fits]) < 3.0 + 4 * np.sqrt(6 / 200)


def test_a_vertical_told_worse_makes_a_wider_fix() -> None:
    fits = [oblique_fit(30.0, np.radians(told), np.random.default_rng(3), 8) for told in (0.05, 0.5, 2.0)]
    sigmas_m = [np.sqrt(np.trace(spread[:2, :2])) for _, spread in fits]
    assert sigmas_m[0] < 0.8 * sigmas_m[1] < 0.8 * sigmas_m[2]


def test_outliers_weigh_little(rng: np.random.Generator) -> None:
    position, rotation, pixels, points = scene(30.0, 40.0, 60, rng)
    pixels[:6] += 60.0
    pose = solve_pose(CAMERA, pixels, points, position, rotation, np.eye(2), LOOSE)
    assert pose is not None and np.linalg.norm(pose.position_ecef_m - position) < 4e3


def test_known_attitude_and_place_pull(rng: np.random.Generator) -> None:
    position, rotation, pixels, points = scene(30.0, 40.0, 4, rng)
    noisy = pixels + rng.normal(0, 6.0, pixels.shape)
    bare = solve_pose(CAMERA, noisy, points, position, rotation, np.eye(2) / 6.0, LOOSE)
    attitude = Attitude(tuple(quat_from_matrix(rotation)), 1e-4)
    told = solve_pose(
        CAMERA, noisy, points, position, rotation, np.eye(2) / 6.0,
        PoseKnowledge(405e3, 20e3, np.radians(10), attitude, Prior(30.0, 40.0, 100.0)),
    )  # fmt: skip
    assert bare is not None and told is not None
    assert np.trace(told.covariance[:2, :2]) < 0.05 * np.trace(bare.covariance[:2, :2])
    assert np.linalg.norm(told.position_ecef_m - position) < np.linalg.norm(bare.position_ecef_m - position)


def test_an_attitude_and_a_vertical_tell_the_place() -> None:
    tilted = ecef_from_nadir_camera(-33.0, 179.5, 70.0) @ cv2.Rodrigues(np.array([0.2, -0.1, 0.0]))[0]
    down_cam = tuple((tilted.T @ ecef_from_ned(-33.0, 179.5)[:, 2]).tolist())
    attitude = Attitude(tuple(quat_from_matrix(tilted).tolist()), 3e-4)
    known = PoseKnowledge(400e3, 1e3, 4e-4, attitude, None, down_cam)
    place = known.whereabouts
    assert place is not None and distance_m(place.lat_deg, place.lon_deg, -33.0, 179.5) < 1.0
    assert place.sigma_m == pytest.approx(5e-4 * EARTH_RADIUS_M)
    told = Prior(1.0, 2.0, 3.0)
    assert replace(known, prior=told).whereabouts is told
    assert replace(known, attitude=None).whereabouts is None
    assert replace(known, pointing_sigma_rad=np.inf).whereabouts is None, "an attitude alone tells no place"


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("tilt_deg", [0.0, 35.0])
def test_slopes_of_priors(told: bool, tilt_deg: float, rng: np.random.Generator) -> None:
    position, rotation, _, _ = scene(30.0, 40.0, 4, rng, tilt_deg)
    attitude = Attitude(tuple(quat_from_matrix(rotation @ cv2.Rodrigues(np.full(3, 1e-3))[0])), 0.01)
    down_cam = Vertical.off_nadir(tilt_deg, 0.0, 0.01).down_cam
    known = PoseKnowledge(400e3, 5e3, 0.01, attitude if told else None, Prior(30.05, 39.9, 5e3), down_cam)
    axes = ecef_from_ned(30.0, 40.0)
    _, slopes = _priors(position, rotation, _Level.at(position), known)
    for axis, size in enumerate([1e3, 1e3, 1e3, 1e-3, 1e-3, 1e-3]):
        step = np.eye(6)[axis] * size
        ahead, behind = (
            _priors(there, rotation @ cv2.Rodrigues(move[3:])[0], _Level.at(there), known)[0]
            for move in (step, -step)
            for there in (position + axes @ move[:3],)
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


@pytest.mark.parametrize(
    "tilt_deg, altitude_m, sigmas, told",
    [(0.5, 405e3, 0.5, "tilt"), (4.0, 405e3, 4.0, "tilt"), (4.0, 433e3, 7.0, "altitude")],
)
def test_how_far_a_pose_is_off_what_was_told(tilt_deg: float, altitude_m: float, sigmas: float, told: str) -> None:
    known = PoseKnowledge(405e3, 4e3, np.radians(1.0))
    turn = np.asarray(cv2.Rodrigues(np.array([np.radians(tilt_deg), 0.0, 0.0]))[0], np.float64)
    rotation = ecef_from_nadir_camera(40.0, 20.0, 0.0) @ turn
    position = ecef_from_geodetic(40.0, 20.0, altitude_m)
    off = contradiction(Pose(position, rotation, np.eye(6) * 1e-9), known)
    assert off.sigmas == pytest.approx(sigmas, rel=1e-2) and off.told == told
    # A pose that is itself good to no more than was told contradicts it less.
    vague = np.diag([1.0, 1.0, 4e3**2, *[np.radians(1.0) ** 2] * 3])
    assert contradiction(Pose(position, rotation, vague), known).sigmas == pytest.approx(sigmas / np.sqrt(2), rel=1e-2)
