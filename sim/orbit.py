"""Where a satellite is at a given time: the face of every orbit, and drawing one from a mission's ranges."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onboard import mission
from onboard.geodesy import EARTH_RADIUS_M, Array
from sim.mean_elements import MeanElements
from sim.sgp4_orbit import Sgp4Orbit


class Orbit(Protocol):
    """Anything that flies."""

    def states(self, times: NDArray[np.datetime64]) -> tuple[Array, Array]:
        """Position (m) and velocity (m/s, as seen from the turning Earth), both (N, 3) ECEF, at UTC times (N,)."""
        ...


def draw_orbit(ranges: mission.Orbit, epoch: np.datetime64, rng: np.random.Generator) -> Orbit:
    """The orbit of the mission's elements (TLE or OMM) where it has them; else a near-circular one drawn uniformly from
    its ranges, integrated from ``epoch``.

    Altitude counts from the mean sphere, so that above the ellipsoid it swings by about 10 km either way.
    """
    if ranges.tle is not None:
        return Sgp4Orbit.from_tle(*ranges.tle)
    if ranges.omm is not None:
        return Sgp4Orbit.from_omm(ranges.omm)
    elements = MeanElements(
        semi_major_axis_m=EARTH_RADIUS_M + rng.uniform(*ranges.altitude_m),
        eccentricity=rng.uniform(0.0, 5e-4),
        inclination_deg=rng.uniform(*ranges.inclination_deg),
        raan_deg=rng.uniform(0.0, 360.0),
        argument_of_perigee_deg=rng.uniform(0.0, 360.0),
        latitude_argument_deg=rng.uniform(0.0, 360.0),
    )
    return elements.orbit(epoch)


def elements_epoch(ranges: mission.Orbit) -> np.datetime64 | None:
    """UTC epoch of the mission's TLE or OMM; None where it gives ranges."""
    if ranges.tle is None and ranges.omm is None:
        return None
    orbit = draw_orbit(ranges, np.datetime64(0, "us"), np.random.default_rng(0))
    assert isinstance(orbit, Sgp4Orbit), "elements are flown by SGP4"
    return orbit.epoch
