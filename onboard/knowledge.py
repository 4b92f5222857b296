"""What is known of a frame before it is looked at: altitude, vertical, attitude, place."""

import numpy as np

from onboard.fix import Attitude, Prior, Status, Vertical
from onboard.geodesy import EARTH_RADIUS_M, ecef_from_ned
from onboard.ground_plane import MAX_INCIDENCE_DEG, Direction
from onboard.intake import Rejected
from onboard.mission import Mission
from onboard.pose import PoseKnowledge, matrix_from_quat

# Attitude and place together give the vertical; where they leave it more open than this, the mission's is taken.
_VERTICAL_SIGMA_RAD = np.radians(1.0)


def knowledge_of(
    mission: Mission,
    altitude_m: tuple[float, float] | None = None,
    attitude: Attitude | None = None,
    prior: Prior | None = None,
    vertical: Vertical | None = None,
) -> PoseKnowledge:
    """What the caller and the mission know together. Raises Rejected (BAD_FRAME) when it makes no sense."""
    low, high = mission.orbit.altitude_m
    told = altitude_m or ((low + high) / 2, max((high - low) / 2, 1e3))
    numbers, sigmas = [], []
    try:
        value, sigma = (float(number) for number in told)
        sigmas.append(sigma)
        if attitude is not None:
            numbers += [float(number) for number in attitude.quat_ecef_from_cam_wxyz]
            sigmas.append(attitude.sigma_rad if len(numbers) == 4 and np.linalg.norm(numbers) > 0 else np.nan)
        if prior is not None:
            numbers += [float(prior.lat_deg), float(prior.lon_deg)]
            sigmas.append(prior.sigma_m)
        if vertical is not None:
            down = [float(number) for number in vertical.down_cam]
            numbers += down
            sigmas.append(vertical.sigma_rad if len(down) == 3 and np.linalg.norm(down) > 0 else np.nan)
        sound = np.isfinite([*numbers, *sigmas]).all() and min(sigmas) > 0 and 50e3 <= value <= 1e8
    except (TypeError, ValueError, AttributeError) as error:
        raise Rejected(Status.BAD_FRAME, f"altitude_m, attitude, prior or vertical is malformed: {error}") from error
    if not sound:
        raise Rejected(
            Status.BAD_FRAME,
            f"altitude {value:g} m must be 50 km or more, every number finite, sigmas positive, a quaternion and a "
            "direction not 0",
        )
    # A told attitude replaces the mission's pointing; a vertical that was told as well is a measurement of its own.
    pointing_sigma_rad = np.inf if attitude is not None else float(np.radians(mission.pointing_sigma_deg))
    down_cam = mission.down_cam
    if vertical is not None:
        down_cam, pointing_sigma_rad = _unit(vertical.down_cam), float(vertical.sigma_rad)
    elif attitude is not None and prior is not None:
        down_cam = _seen_from(attitude, prior) or down_cam
    known = PoseKnowledge(value, sigma, pointing_sigma_rad, attitude, prior, down_cam)
    if not known.plane.usable:
        meets = f"meets the ground {np.degrees(known.plane.incidence_rad):.0f} degrees off its vertical"
        raise Rejected(
            Status.BAD_FRAME,
            f"{np.degrees(known.plane.off_nadir_rad):.0f} degrees off nadir the camera's axis "
            f"{'passes the Earth by' if np.isnan(known.plane.incidence_rad) else meets}; less than "
            f"{MAX_INCIDENCE_DEG:g} is asked for",
        )
    return known


def _seen_from(attitude: Attitude, prior: Prior) -> Direction | None:
    """Down at a place in the axes of a camera turned so; None where the two leave it open."""
    if np.hypot(attitude.sigma_rad, prior.sigma_m / EARTH_RADIUS_M) > _VERTICAL_SIGMA_RAD:
        return None
    ecef_from_cam = matrix_from_quat(np.array(attitude.quat_ecef_from_cam_wxyz))
    return _unit(ecef_from_cam.T @ ecef_from_ned(prior.lat_deg, prior.lon_deg)[:, 2])


def _unit(direction: np.ndarray | Direction) -> Direction:
    x, y, z = (np.asarray(direction, np.float64) / np.linalg.norm(direction)).tolist()
    return x, y, z
