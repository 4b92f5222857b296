"""Where a satellite is at a given time: the face of every orbit, and drawing one from a mission's ranges."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onboard import mission
from onboard.geodesy import EARTH_RADIUS_M, Array
from sim.kepler_j2_orbit import KeplerJ2Orbit
from sim.sgp4_orbit import Sgp4Orbit


class Orbit(Protocol):
    """Anything that flies."""

    def states(self, times: NDArray[np.datetime64]) -> tuple[Array, Array]:
        """Position (m) and velocity (m/s, as seen from the turning Earth), both (N, 3) ECEF, at UTC times (N,)."""
        ...


def draw_orbit(ranges: mission.Orbit, epoch: np.datetime64, rng: np.random.Generator) -> Orbit:
    """The mission's TLE where it has one; else a near-circular orbit drawn uniformly from its ranges.

    Altitude counts from the mean sphere, so that above the ellipsoid it swings by about 10 km either way.
    """
    if ranges.tle is not None:
        return Sgp4Orbit(*ranges.tle)
    altitude_m = rng.uniform(*ranges.altitude_m)
    return KeplerJ2Orbit(
        epoch=epoch,
        semi_major_axis_m=EARTH_RADIUS_M + altitude_m,
        eccentricity=rng.uniform(0.0, 5e-4),
        inclination_deg=rng.uniform(*ranges.inclination_deg),
        raan_deg=rng.uniform(0.0, 360.0),
        argument_of_perigee_deg=rng.uniform(0.0, 360.0),
        mean_anomaly_deg=rng.uniform(0.0, 360.0),
    )
