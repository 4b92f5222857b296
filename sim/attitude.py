"""Where the camera points: down along the track and a little off, or slowly tumbling. Files: sim/attitude_file.py."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from onboard.geodesy import Array, ecef_from_ned, geodetic_from_ecef
from onboard.ground_plane import STRAIGHT_DOWN, Direction, level_from_cam
from onboard.pose import quat_from_matrix
from sim.earth_frames import ecef_from_gcrs
from sim.orbit import Orbit

# Periods of 20 to 200 s: a camera that jitters by half a degree turns at about a milliradian a second, as pictures show
# (`look.draw_look`); at 10 Hz it would turn at 20 degrees a second, and blur them all.
JITTER_BAND_HZ = (0.005, 0.05)
_TURN_STEP = np.timedelta64(10, "ms")  # as long as a picture takes: a shutter is open for 8 ms, a read-out takes 60
_WAVES = 32
_JITTER_EPOCH = np.datetime64("2000-01-01", "us")


class Attitude(Protocol):
    """Anything that holds a camera. It follows from time and state alone, so that frames can be made in any order."""

    def ecef_from_cam(
        self, times: NDArray[np.datetime64], positions_ecef_m: Array, velocities_ecef_m_s: Array
    ) -> Array:
        """Rotations (N, 3, 3) from camera axes to ECEF at UTC times (N,) and states (N, 3) of the orbit."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """All that it is made of, as plain JSON."""
        ...


@dataclass(frozen=True, eq=False)
class Jitter:
    """Band-limited pointing noise: each camera axis turns by a sum of sinusoids.

    frequencies_hz, phases_rad: (3, K); sigma_rad: root mean square per axis over a long time.
    """

    sigma_rad: float
    frequencies_hz: Array
    phases_rad: Array

    def rotation_vectors_rad(self, times: NDArray[np.datetime64]) -> Array:
        """Rotation vectors (N, 3) in camera axes at times (N,)."""
        elapsed_s = (times - _JITTER_EPOCH) / np.timedelta64(1, "s")
        waves = np.sin(2 * np.pi * self.frequencies_hz * elapsed_s[:, None, None] + self.phases_rad)
        return self.sigma_rad * np.sqrt(2 / waves.shape[-1]) * waves.sum(-1)


def draw_jitter(sigma_rad: float, rng: np.random.Generator) -> Jitter:
    """Jitter of a given sigma; frames ten seconds apart see it as white, or nearly (a correlation of -0.1)."""
    return Jitter(
        sigma_rad, rng.uniform(*JITTER_BAND_HZ, (3, _WAVES)), rng.uniform(0, 2 * np.pi, (3, _WAVES))
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class NadirPointing:
    """A camera held to the geodetic nadir as it is mounted, its picture's up direction along the velocity turned by
    ``camera_yaw_deg``.

    bias_rad: constant rotation vector (3,) in camera axes (roll, pitch, yaw); jitter: adds to it (None: a steady hand);
    down_cam: where down should be in camera axes.
    """

    camera_yaw_deg: float = 0.0
    bias_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    jitter: Jitter | None = None
    down_cam: Direction = STRAIGHT_DOWN

    def ecef_from_cam(
        self, times: NDArray[np.datetime64], positions_ecef_m: Array, velocities_ecef_m_s: Array
    ) -> Array:
        lat, lon, _ = geodetic_from_ecef(positions_ecef_m)
        ned = ecef_from_ned(lat, lon)
        north, east, _ = np.einsum("nji,nj->in", ned, velocities_ecef_m_s)
        heading = np.arctan2(east, north) + np.radians(self.camera_yaw_deg)
        sin, cos, zero = np.sin(heading), np.cos(heading), np.zeros_like(heading)
        right, down = np.stack([-sin, cos, zero], -1), np.stack([-cos, -sin, zero], -1)
        ned_from_level = np.stack([right, down, np.broadcast_to([0.0, 0.0, 1.0], right.shape)], -1)
        error_rad = np.tile(self.bias_rad, (len(times), 1))
        if self.jitter is not None:
            error_rad = error_rad + self.jitter.rotation_vectors_rad(times)
        mounted = level_from_cam(np.array(self.down_cam))
        return ned @ ned_from_level @ mounted @ Rotation.from_rotvec(error_rad).as_matrix()

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "nadir",
            "camera_yaw_deg": self.camera_yaw_deg,
            "bias_rad": list(self.bias_rad),
            "down_cam": list(self.down_cam),
            "jitter_sigma_rad": 0.0 if self.jitter is None else self.jitter.sigma_rad,
            "jitter_band_hz": list(JITTER_BAND_HZ),
        }


@dataclass(frozen=True, eq=False)
class Tumble:
    """A body turning at a constant rate against the stars.

    gcrs_from_cam (3, 3) at ``epoch`` (UTC); rate_rad_s: angular velocity (3,) in camera axes.
    """

    epoch: np.datetime64
    gcrs_from_cam: Array
    rate_rad_s: tuple[float, float, float]

    def ecef_from_cam(
        self, times: NDArray[np.datetime64], positions_ecef_m: Array, velocities_ecef_m_s: Array
    ) -> Array:
        elapsed_s = (times - self.epoch) / np.timedelta64(1, "s")
        turned = Rotation.from_rotvec(elapsed_s[:, None] * np.array(self.rate_rad_s)).as_matrix()
        return ecef_from_gcrs(times) @ self.gcrs_from_cam @ turned

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": "tumble",
            "epoch_utc": np.datetime_as_string(self.epoch, "us") + "Z",
            "quat_gcrs_from_cam_wxyz": quat_from_matrix(self.gcrs_from_cam).tolist(),
            "rate_rad_s": list(self.rate_rad_s),
        }


def draw_pointing(
    pointing_sigma_deg: float, rng: np.random.Generator, down_cam: Direction = STRAIGHT_DOWN
) -> NadirPointing:
    """Pointing of a camera mounted so, any yaw; bias and jitter share the mission's sigma evenly (in variance)."""
    sigma_rad = float(np.radians(pointing_sigma_deg) / np.sqrt(2))
    roll, pitch, yaw = rng.normal(0.0, sigma_rad, 3).tolist()
    return NadirPointing(float(rng.uniform(0, 360)), (roll, pitch, yaw), draw_jitter(sigma_rad, rng), down_cam)


def draw_tumble(
    steady: NadirPointing, orbit: Orbit, epoch: np.datetime64, rate_deg_s: float, rng: np.random.Generator
) -> Tumble:
    """A tumble about a random axis of the body; at ``epoch`` the camera points as ``steady`` does."""
    at = np.array([epoch])
    ecef_from_cam = steady.ecef_from_cam(at, *orbit.states(at))[0]
    axis = rng.normal(size=3)
    x, y, z = (np.radians(rate_deg_s) * axis / np.linalg.norm(axis)).tolist()
    return Tumble(epoch, ecef_from_gcrs(at)[0].T @ ecef_from_cam, (x, y, z))


def turns_rad_s(attitude: Attitude, orbit: Orbit, times: NDArray[np.datetime64]) -> Array:
    """Angular velocity (N, 3), in its own axes, at which a camera turns against one that is held to the nadir (which
    itself turns once a revolution): up to each of the times, from the first of them on, so that an attitude that is
    known from the first to the last is enough."""
    starts = times - _TURN_STEP
    starts[0] = times[0]
    rotations, downs = [], []
    for moments in (starts, starts + _TURN_STEP):
        positions, velocities = orbit.states(moments)
        lat, lon, _ = geodetic_from_ecef(positions)
        rotations.append(attitude.ecef_from_cam(moments, positions, velocities))
        downs.append(ecef_from_ned(lat, lon)[..., 2])
    # So small an angle is its sine.
    held = Rotation.from_rotvec(np.cross(downs[0], downs[1])).as_matrix()
    turned = np.swapaxes(rotations[0], -1, -2) @ np.swapaxes(held, -1, -2) @ rotations[1]
    return Rotation.from_matrix(turned).as_rotvec() / (_TURN_STEP / np.timedelta64(1, "s"))


def quat_wxyz(rotation: Array) -> tuple[float, float, float, float]:
    """Unit quaternion (w >= 0) of a rotation matrix (3, 3)."""
    w, x, y, z = quat_from_matrix(rotation).tolist()
    return w, x, y, z
