"""What is known of a frame before it is looked at: altitude, pointing, attitude, place."""

import numpy as np

from onboard.fix import Attitude, Prior, Status
from onboard.intake import Rejected
from onboard.mission import Mission
from onboard.pose import PoseKnowledge


def knowledge_of(
    mission: Mission, altitude_m: tuple[float, float] | None, attitude: Attitude | None, prior: Prior | None
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
        sound = np.isfinite([*numbers, *sigmas]).all() and min(sigmas) > 0 and 50e3 <= value <= 1e8
    except (TypeError, ValueError, AttributeError) as error:
        raise Rejected(Status.BAD_FRAME, f"altitude_m, attitude or prior is malformed: {error}") from error
    if not sound:
        raise Rejected(
            Status.BAD_FRAME,
            f"altitude {value:g} m must be 50 km or more, every number finite, sigmas positive, a quaternion not 0",
        )
    return PoseKnowledge(value, sigma, np.radians(mission.pointing_sigma_deg), attitude, prior)
