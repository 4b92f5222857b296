"""Position and attitude from matched landmarks: Gauss-Newton on reprojection errors, with priors as residuals."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from onboard.camera import Camera
from onboard.fix import Attitude, Prior
from onboard.geodesy import (
    EARTH_RADIUS_M,
    Array,
    distance_m,
    ecef_from_ned,
    geodetic_from_ecef,
    latlon_from_unit,
    unit_from_latlon,
)
from onboard.ground_plane import STRAIGHT_DOWN, Direction, GroundPlane
from onboard.headings import Headings

_ITERATIONS = 12
# A pose farther than this from anything that was told contradicts it. A tilt that was not told can hide behind a patch
# of the frame seen as steeply from the other side, so that no more is granted than chance asks for.
CREDIBLE_SIGMAS = 3.0
DEGREE_RAD = float(np.radians(1.0))  # to which missions promise a pointing
_HUBER = 1.5  # residuals beyond this many sigmas weigh less (Huber 1964; 93 % efficient on Gaussian noise)


@dataclass(frozen=True, eq=False)
class Pose:
    """position_ecef_m (3,); ecef_from_cam (3, 3); covariance (6, 6) of (north, east, down) metres and a rotation
    vector in camera axes, radians."""

    position_ecef_m: Array
    ecef_from_cam: Array
    covariance: Array


@dataclass(frozen=True)
class Contradiction:
    """How many sigmas a pose is off what was told, in the worst of it, and what that is: altitude, tilt, attitude or
    place."""

    sigmas: float
    told: str


NOT_CONTRADICTED = Contradiction(0.0, "nothing")


@dataclass(frozen=True)
class PoseKnowledge:
    """What is known beside the landmarks; sigmas are 1-sigma. down_cam: unit vector of geodetic down in camera axes;
    pointing_sigma_rad: of it, per axis, infinite where it says nothing beyond the attitude; attitude and prior only
    when the caller brought them; headings: that the camera can have, where its mounting was told."""

    altitude_m: float
    altitude_sigma_m: float
    pointing_sigma_rad: float
    attitude: Attitude | None = None
    prior: Prior | None = None
    down_cam: Direction = STRAIGHT_DOWN
    headings: Headings | None = None

    @property
    def untold(self) -> "PoseKnowledge":
        """As if next to nothing were known: just enough to hold a pose that the landmarks leave open."""
        return replace(self, altitude_sigma_m=self.altitude_m, pointing_sigma_rad=1.0, attitude=None, prior=None)

    @cached_property
    def whereabouts(self) -> Prior | None:
        """Where the nadir point can be: as it was told, or as an attitude and a vertical tell it together, a star
        tracker and a horizon sensor; None: anywhere."""
        if self.prior is not None or self.attitude is None or not np.isfinite(self.pointing_sigma_rad):
            return self.prior
        ecef_from_cam = matrix_from_quat(np.array(self.attitude.quat_ecef_from_cam_wxyz))
        lat, lon = latlon_from_unit(-ecef_from_cam @ np.array(self.down_cam))
        return Prior(lat, lon, EARTH_RADIUS_M * float(np.hypot(self.attitude.sigma_rad, self.pointing_sigma_rad)))

    @cached_property
    def plane(self) -> GroundPlane:
        """The ground as the camera is believed to see it."""
        return GroundPlane(self.altitude_m, self.down_cam)


@dataclass(frozen=True, eq=False)
class _Level:
    """Where a position is, and its north, east and down axes (3, 3) in ECEF."""

    lat_deg: float
    lon_deg: float
    altitude_m: float
    axes: Array

    @classmethod
    def at(cls, position_ecef_m: Array) -> "_Level":
        lat, lon, alt = (float(value) for value in geodetic_from_ecef(position_ecef_m))
        return cls(lat, lon, alt, ecef_from_ned(lat, lon))


def solve_pose(
    camera: Camera,
    pixels: Array,
    points_ecef_m: Array,
    start_position_ecef_m: Array,
    start_ecef_from_cam: Array,
    per_sigma: Array,
    known: PoseKnowledge,
) -> Pose | None:
    """Pose from pixels (N, 2) of points (N, 3), or None when the iteration does not settle on finite numbers.

    per_sigma (N, 2, 2), or (2, 2) for all: turns an error in pixels into sigmas. Reweighted Gauss-Newton; the
    covariance is the inverse normal matrix, inflated by the residual variance when the residuals are larger than
    ``per_sigma`` says (Triggs et al. 2000, section 8).
    """
    position, rotation = start_position_ecef_m.astype(float), start_ecef_from_cam.astype(float)
    inflation = 1.0
    for _ in range(_ITERATIONS):
        level = _Level.at(position)  # anew: a step beside a pole turns it by any angle
        seen, by_move = _reprojection(camera, pixels, points_ecef_m, position, rotation, level.axes)
        if not np.isfinite(seen).all():
            return None
        told, told_by_move = _priors(position, rotation, level, known)
        seen, by_move = (per_sigma @ seen[..., None]).ravel(), (per_sigma @ by_move).reshape(-1, 6)
        length = np.linalg.norm(seen.reshape(-1, 2), axis=1)
        weight = np.repeat(np.minimum(1.0, _HUBER / np.maximum(length, 1e-9)), 2)
        normal = by_move.T @ (weight[:, None] * by_move) + told_by_move.T @ told_by_move
        gradient = by_move.T @ (weight * seen) + told_by_move.T @ told
        inflation = max(1.0, float(weight @ seen**2) / max(1.0, len(seen) - 6.0))
        move = -np.linalg.solve(normal, gradient)
        position = position + level.axes @ move[:3]
        rotation = rotation @ cv2.Rodrigues(move[3:])[0]
        if np.linalg.norm(move[:3]) < 0.1 and np.linalg.norm(move[3:]) < 1e-7:
            break
    return Pose(position, rotation, np.asarray(np.linalg.inv(normal) * inflation, np.float64))


def contradiction(free: Pose, known: PoseKnowledge) -> Contradiction:
    """By how much a pose that was fitted to landmarks alone is off what was told: in 1-sigma of the pose and of the
    telling together. A frame that is not what it was said to be (tilted, from another height, from elsewhere) may show
    landmarks all the same, but not from where it should."""
    off, by_move = _off_told(free, known)
    variance = 1.0 + np.einsum("ki,ij,kj->k", by_move, free.covariance, by_move)
    sigmas = np.abs(off) / np.sqrt(variance)
    told = ["altitude", "tilt", "tilt"]
    told += ["attitude"] * 3 if known.attitude is not None else []
    told += ["place"] * 2 if known.prior is not None else []
    return Contradiction(float(sigmas.max()), told[int(sigmas.argmax())])


def vagueness(free: Pose, known: PoseKnowledge) -> float:
    """1-sigma of a pose along what it knows least of all that was told, in the telling's sigmas; of tilt and attitude
    in degrees where less than that was told."""
    attitude = known.attitude and replace(known.attitude, sigma_rad=min(known.attitude.sigma_rad, DEGREE_RAD))
    pointing_sigma_rad = known.pointing_sigma_rad if attitude else min(known.pointing_sigma_rad, DEGREE_RAD)
    _, by_move = _off_told(free, replace(known, attitude=attitude, pointing_sigma_rad=pointing_sigma_rad))
    return float(np.sqrt(np.linalg.eigvalsh(by_move @ free.covariance @ by_move.T)[-1]))


def _off_told(free: Pose, known: PoseKnowledge) -> tuple[Array, Array]:
    return _priors(free.position_ecef_m, free.ecef_from_cam, _Level.at(free.position_ecef_m), known)


def _reprojection(
    camera: Camera, pixels: Array, points: Array, position: Array, rotation: Array, axes: Array
) -> tuple[Array, Array]:
    """Residuals (N, 2) in pixels and their derivatives (N, 2, 6) by a move along ``axes`` and a turn about the
    camera's axes: a camera turned by w sees a point x move by x × w."""
    points_cam = (points - position) @ rotation
    seen, by_point = camera.project_with_slope(points_cam)
    x, y, z = points_cam.T
    by_turn = np.zeros((len(points), 3, 3))
    by_turn[:, 1, 0], by_turn[:, 2, 0], by_turn[:, 2, 1] = z, -y, x
    by_turn[:, 0, 1], by_turn[:, 0, 2], by_turn[:, 1, 2] = -z, y, -x
    by_move = -(rotation.T @ axes)
    return seen - pixels, np.concatenate([by_point @ by_move, by_point @ by_turn], axis=2)


def _priors(position: Array, rotation: Array, level: _Level, known: PoseKnowledge) -> tuple[Array, Array]:
    """Prior residuals in sigmas (K,) and their derivatives (K, 6) by a move north, east and down and a turn: of
    altitude, of tilt (2), and where they were told of attitude (3) and place (2: the way from the one told, as it
    arrives north and east). To first order in what is small: what should be down off the vertical, that way, and an
    attitude off the one told."""
    radius = float(np.linalg.norm(position))
    residuals, slopes = [(level.altitude_m - known.altitude_m) / known.altitude_sigma_m], np.zeros((1, 6))
    slopes[0, 2] = -1 / known.altitude_sigma_m
    level_from_ecef = level.axes[:, :2].T
    residuals += (level_from_ecef @ (rotation @ known.down_cam) / known.pointing_sigma_rad).tolist()
    pointing = np.zeros((2, 6))
    # Moving north turns "down" backwards, which what should be down then seems to point ahead of; a camera turned by w
    # turns its down d by w × d.
    pointing[0, 0] = pointing[1, 1] = 1 / radius
    pointing[:, 3:] = level_from_ecef @ rotation @ np.cross(np.eye(3), known.down_cam).T
    slopes = np.vstack([slopes, pointing / known.pointing_sigma_rad])
    if known.attitude is not None:
        told = matrix_from_quat(np.array(known.attitude.quat_ecef_from_cam_wxyz))
        residuals += (cv2.Rodrigues(told.T @ rotation)[0].ravel() / known.attitude.sigma_rad).tolist()
        slopes = np.vstack([slopes, np.eye(3, 6, 3) / known.attitude.sigma_rad])
    if known.prior is not None:
        prior = known.prior
        back = level_from_ecef @ unit_from_latlon(prior.lat_deg, prior.lon_deg)
        way_m = distance_m(prior.lat_deg, prior.lon_deg, level.lat_deg, level.lon_deg)
        residuals += (-back / max(float(np.linalg.norm(back)), 1e-15) * (way_m / prior.sigma_m)).tolist()
        slopes = np.vstack([slopes, np.eye(2, 6) * EARTH_RADIUS_M / radius / prior.sigma_m])
    return np.array(residuals), slopes


def quat_from_matrix(rotation: Array) -> Array:
    """Unit quaternion (w, x, y, z) with w >= 0 of a rotation matrix (Shepperd 1978: no small divisor)."""
    m = rotation
    squares = np.array([np.trace(m), m[0, 0], m[1, 1], m[2, 2]])
    largest = int(np.argmax(squares))
    if largest == 0:
        quat = np.array([1 + squares[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    else:
        i, j, k = (largest - 1, largest % 3, (largest + 1) % 3)
        quat = np.empty(4)
        quat[0] = m[k, j] - m[j, k]
        quat[1 + i] = 1 + 2 * m[i, i] - squares[0]
        quat[1 + j] = m[i, j] + m[j, i]
        quat[1 + k] = m[i, k] + m[k, i]
    quat /= np.linalg.norm(quat)
    return quat if quat[0] >= 0 else -quat


def matrix_from_quat(quat_wxyz: Array) -> Array:
    """Rotation matrix (3, 3) of a quaternion (w, x, y, z), normalised first."""
    w, x, y, z = quat_wxyz / np.linalg.norm(quat_wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
