"""A Keplerian orbit whose node, perigee and mean anomaly drift with the Earth's flattening."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import WGS84_A_M, Array
from sim.earth_frames import itrs_from_gcrs, sun_ecef, utc_times

EARTH_GM_M3_S2 = 3.986004418e14  # WGS84
EARTH_J2 = 1.08262668e-3  # EGM96
TROPICAL_YEAR_S = 365.2421897 * 86400


@dataclass(frozen=True)
class KeplerJ2Orbit:
    """Mean elements at a UTC epoch in the GCRS equator, with secular J2 rates.

    Vallado, Fundamentals of Astrodynamics (4th ed.), eqs. 9-38, 9-39 and 9-41. The short-period terms left out
    are about 10 km along the track: truth and picture share them, so a simulation does not notice.
    """

    epoch: np.datetime64
    semi_major_axis_m: float
    eccentricity: float
    inclination_deg: float
    raan_deg: float
    argument_of_perigee_deg: float = 0.0
    mean_anomaly_deg: float = 0.0

    @classmethod
    def sun_synchronous(
        cls, semi_major_axis_m: float, descending_node_h: float, epoch: np.datetime64
    ) -> "KeplerJ2Orbit":
        """A circular orbit whose node keeps up with the Sun, southbound over the equator at a local solar time (h)."""
        rate = 2 * np.pi / TROPICAL_YEAR_S
        motion = np.sqrt(EARTH_GM_M3_S2 / semi_major_axis_m**3)
        cosine = -rate / (1.5 * motion * EARTH_J2 * (WGS84_A_M / semi_major_axis_m) ** 2)
        # Right ascension of the apparent Sun from the sky as the Earth-fixed frame sees it: local time is what counts.
        sun_lon_deg = np.degrees(np.arctan2(*sun_ecef(utc_times(epoch, [0.0]))[0, 1::-1]))
        node_lon_deg = sun_lon_deg + (descending_node_h - 12.0) * 15.0 + 180.0
        trial = cls(epoch, semi_major_axis_m, 0.0, float(np.degrees(np.arccos(cosine))), 0.0)
        at_zero = trial.states(utc_times(epoch, [0.0]))[0][0]  # the ascending node of raan 0, seen in ECEF
        raan_deg = node_lon_deg - np.degrees(np.arctan2(at_zero[1], at_zero[0]))
        return cls(epoch, semi_major_axis_m, 0.0, trial.inclination_deg, float(raan_deg % 360.0))

    @property
    def period_s(self) -> float:
        """Anomalistic period: from perigee to perigee."""
        return 2 * np.pi / self._rates_rad_s()[2]

    @property
    def nodal_rate_deg_day(self) -> float:
        """Drift of the ascending node."""
        return float(np.degrees(self._rates_rad_s()[0]) * 86400)

    def gcrs_states(self, times: NDArray[np.datetime64]) -> tuple[Array, Array]:
        """Position (m) and velocity (m/s), (N, 3), in GCRS."""
        elapsed_s = (np.atleast_1d(times).astype("datetime64[us]") - self.epoch) / np.timedelta64(1, "s")
        node_rate, perigee_rate, anomaly_rate = self._rates_rad_s()
        a, e, inclination = self.semi_major_axis_m, self.eccentricity, np.radians(self.inclination_deg)
        node = np.radians(self.raan_deg) + node_rate * elapsed_s
        perigee = np.radians(self.argument_of_perigee_deg) + perigee_rate * elapsed_s
        eccentric = _eccentric_anomaly(np.radians(self.mean_anomaly_deg) + anomaly_rate * elapsed_s, e)
        cos_e, sin_e = np.cos(eccentric), np.sin(eccentric)
        side = np.sqrt(1 - e * e)
        along = np.stack([a * (cos_e - e), a * side * sin_e])
        speed = np.sqrt(EARTH_GM_M3_S2 / a) / (1 - e * cos_e)
        velocity = np.stack([-speed * sin_e, speed * side * cos_e])

        cos_n, sin_n, cos_p, sin_p = np.cos(node), np.sin(node), np.cos(perigee), np.sin(perigee)
        cos_i, sin_i = np.cos(inclination), np.sin(inclination)
        to_perigee = np.stack(
            [cos_n * cos_p - sin_n * sin_p * cos_i, sin_n * cos_p + cos_n * sin_p * cos_i, sin_p * sin_i]
        )
        across = np.stack(
            [-cos_n * sin_p - sin_n * cos_p * cos_i, -sin_n * sin_p + cos_n * cos_p * cos_i, cos_p * sin_i]
        )
        return (to_perigee * along[0] + across * along[1]).T, (to_perigee * velocity[0] + across * velocity[1]).T

    def states(self, times: NDArray[np.datetime64]) -> tuple[Array, Array]:
        """Position (m) and velocity (m/s), (N, 3), in ECEF."""
        return itrs_from_gcrs(np.atleast_1d(times), *self.gcrs_states(times))

    def _rates_rad_s(self) -> tuple[float, float, float]:
        """Secular rates of node, argument of perigee and mean anomaly."""
        motion = np.sqrt(EARTH_GM_M3_S2 / self.semi_major_axis_m**3)
        squash = 1 - self.eccentricity**2
        flattening = EARTH_J2 * (WGS84_A_M / (self.semi_major_axis_m * squash)) ** 2
        sin_i, cos_i = np.sin(np.radians(self.inclination_deg)), np.cos(np.radians(self.inclination_deg))
        node = -1.5 * motion * flattening * cos_i
        perigee = 0.75 * motion * flattening * (4 - 5 * sin_i**2)
        anomaly = motion * (1 + 0.75 * flattening * np.sqrt(squash) * (2 - 3 * sin_i**2))
        return float(node), float(perigee), float(anomaly)


def _eccentric_anomaly(mean_rad: Array, eccentricity: float) -> Array:
    """Kepler's equation by Newton's method."""
    eccentric = mean_rad + eccentricity * np.sin(mean_rad)
    for _ in range(20):
        error = eccentric - eccentricity * np.sin(eccentric) - mean_rad
        eccentric = eccentric - error / (1 - eccentricity * np.cos(eccentric))
        if np.abs(error).max(initial=0.0) < 1e-14:
            break
    return eccentric
