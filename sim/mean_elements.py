"""Orbits by what they are on average: mean elements, and the numerically integrated orbit that has them."""

from dataclasses import dataclass

import numpy as np

from onboard.geodesy import WGS84_A_M, Array
from onboard.orbit_motion import EARTH_GM_M3_S2, EARTH_J2
from sim.earth_frames import itrs_from_gcrs, sun_ecef, utc_times
from sim.j2_orbit import J2Orbit

TROPICAL_YEAR_S = 365.2421897 * 86400
_SAMPLES = 64  # of a revolution, to average over it
_CORRECTIONS = 4
_LEAST_TILT_RAD = 1e-6  # an orbit exactly over the equator would have no node: it is tilted by seven metres


@dataclass(frozen=True)
class MeanElements:
    """What an orbit is on average over the revolution about its epoch: the osculating elements swing about these by
    about 10 km in the semi-major axis of a low orbit and 0.001 in the eccentricity.

    Angles in degrees, in GCRS. The latitude argument counts from the node to the mean position: argument of perigee
    plus mean anomaly, so that circular orbits need no perigee.
    """

    semi_major_axis_m: float
    eccentricity: float
    inclination_deg: float
    raan_deg: float
    argument_of_perigee_deg: float = 0.0
    latitude_argument_deg: float = 0.0

    def orbit(self, epoch: np.datetime64) -> J2Orbit:
        """The orbit that has these elements: the osculating ones are corrected until the average is right."""
        wanted = self._smooth()
        guess = wanted
        for _ in range(_CORRECTIONS):
            away = wanted - _averaged(_orbit_of(guess, epoch), self.period_s)
            away[4:] = (away[4:] + np.pi) % (2 * np.pi) - np.pi
            guess = guess + away
        return _orbit_of(guess, epoch)

    @property
    def period_s(self) -> float:
        """Nodal period to first order in J2: from ascending node to ascending node."""
        _, perigee, anomaly = self._rates_rad_s()
        return 2 * np.pi / (perigee + anomaly)

    @property
    def nodal_rate_deg_day(self) -> float:
        """Drift of the ascending node to first order in J2."""
        return float(np.degrees(self._rates_rad_s()[0]) * 86400)

    def _rates_rad_s(self) -> tuple[float, float, float]:
        """Secular rates of node, argument of perigee and mean anomaly (Vallado, eqs. 9-38, 9-39, 9-41)."""
        motion = np.sqrt(EARTH_GM_M3_S2 / self.semi_major_axis_m**3)
        squash = 1 - self.eccentricity**2
        flattening = EARTH_J2 * (WGS84_A_M / (self.semi_major_axis_m * squash)) ** 2
        sin_i, cos_i = np.sin(np.radians(self.inclination_deg)), np.cos(np.radians(self.inclination_deg))
        node = -1.5 * motion * flattening * cos_i
        perigee = 0.75 * motion * flattening * (4 - 5 * sin_i**2)
        anomaly = motion * (1 + 0.75 * flattening * np.sqrt(squash) * (2 - 3 * sin_i**2))
        return float(node), float(perigee), float(anomaly)

    def _smooth(self) -> Array:
        perigee = np.radians(self.argument_of_perigee_deg)
        return np.array(
            [
                self.semi_major_axis_m,
                self.eccentricity * np.cos(perigee),
                self.eccentricity * np.sin(perigee),
                np.clip(np.radians(self.inclination_deg), _LEAST_TILT_RAD, np.pi - _LEAST_TILT_RAD),
                np.radians(self.raan_deg),
                np.radians(self.latitude_argument_deg),
            ]
        )


def sun_synchronous(semi_major_axis_m: float, descending_node_h: float, epoch: np.datetime64) -> MeanElements:
    """A circular orbit whose node keeps up with the Sun, southbound over the equator at a local solar time (h)."""
    rate = 2 * np.pi / TROPICAL_YEAR_S
    motion = np.sqrt(EARTH_GM_M3_S2 / semi_major_axis_m**3)
    cosine = -rate / (1.5 * motion * EARTH_J2 * (WGS84_A_M / semi_major_axis_m) ** 2)
    # Right ascension of the apparent Sun from the sky as the Earth-fixed frame sees it: local time is what counts.
    at = utc_times(epoch, [0.0])
    sun_lon_deg = np.degrees(np.arctan2(*sun_ecef(at)[0, 1::-1]))
    node_lon_deg = sun_lon_deg + (descending_node_h - 12.0) * 15.0 + 180.0
    origin = itrs_from_gcrs(at, np.array([[1.0, 0.0, 0.0]]), np.zeros((1, 3)))[0][0]  # right ascension 0, seen in ECEF
    raan_deg = node_lon_deg - np.degrees(np.arctan2(origin[1], origin[0]))
    return MeanElements(semi_major_axis_m, 0.0, float(np.degrees(np.arccos(cosine))), float(raan_deg % 360.0))


def _averaged(orbit: J2Orbit, period_s: float) -> Array:
    """Smooth elements averaged over the revolution about the epoch; the drift of the angles cancels."""
    offsets_s = (np.arange(_SAMPLES) + 0.5 - _SAMPLES / 2) / _SAMPLES * period_s
    elements = _smooth_elements(*orbit.gcrs_states(utc_times(orbit.epoch, offsets_s)))
    return np.array([*elements[:, :4].mean(0), *np.unwrap(elements[:, 4:], axis=0).mean(0)])


def _orbit_of(smooth: Array, epoch: np.datetime64) -> J2Orbit:
    """The orbit that osculates elements (6,): semi-major axis, e cos w, e sin w, inclination, node, w + M."""
    a, p, q, inclination, node, argument = smooth.tolist()
    # Kepler's equation in the eccentric longitude F = w + E, by Newton: F - p sin F + q cos F = w + M.
    longitude = argument
    for _ in range(20):
        error = longitude - p * np.sin(longitude) + q * np.cos(longitude) - argument
        longitude -= error / (1 - p * np.cos(longitude) - q * np.sin(longitude))
    cos_f, sin_f = np.cos(longitude), np.sin(longitude)
    beta = 1 / (1 + np.sqrt(1 - p * p - q * q))
    # Broucke and Cefola 1972, with the axes along the node instead of the vernal equinox.
    along = a * np.array(
        [(1 - beta * q * q) * cos_f + beta * p * q * sin_f - p, (1 - beta * p * p) * sin_f + beta * p * q * cos_f - q]
    )
    speed = np.sqrt(EARTH_GM_M3_S2 / a) / (1 - p * cos_f - q * sin_f)
    velocity = speed * np.array(
        [beta * p * q * cos_f - (1 - beta * q * q) * sin_f, (1 - beta * p * p) * cos_f - beta * p * q * sin_f]
    )
    to_node = np.array([np.cos(node), np.sin(node), 0.0])
    ahead = np.array([-np.sin(node) * np.cos(inclination), np.cos(node) * np.cos(inclination), np.sin(inclination)])
    plane = np.stack([to_node, ahead])
    return J2Orbit(epoch, tuple((along @ plane).tolist()), tuple((velocity @ plane).tolist()))


def _smooth_elements(position_m: Array, velocity_m_s: Array) -> Array:
    """Osculating elements (N, 6), as `_orbit_of` takes them, of states (N, 3), (N, 3)."""
    radius = np.linalg.norm(position_m, axis=1)
    momentum = np.cross(position_m, velocity_m_s)
    pole = momentum / np.linalg.norm(momentum, axis=1, keepdims=True)
    node = np.arctan2(pole[:, 0], -pole[:, 1])
    to_node = np.column_stack([np.cos(node), np.sin(node), np.zeros_like(node)])
    ahead = np.cross(pole, to_node)
    a = 1 / (2 / radius - (velocity_m_s**2).sum(1) / EARTH_GM_M3_S2)
    perigee = np.cross(velocity_m_s, momentum) / EARTH_GM_M3_S2 - position_m / radius[:, None]
    p, q = (perigee * to_node).sum(1), (perigee * ahead).sum(1)
    x, y = (position_m * to_node).sum(1), (position_m * ahead).sum(1)
    side = np.sqrt(1 - p * p - q * q)
    beta = 1 / (1 + side)
    # The eccentric longitude from the position, Broucke and Cefola 1972.
    cos_f = p + ((1 - beta * p * p) * x - beta * p * q * y) / (a * side)
    sin_f = q + ((1 - beta * q * q) * y - beta * p * q * x) / (a * side)
    longitude = np.arctan2(sin_f, cos_f)
    argument = longitude - p * sin_f + q * cos_f
    return np.column_stack([a, p, q, np.arctan2(np.hypot(pole[:, 0], pole[:, 1]), pole[:, 2]), node, argument])
