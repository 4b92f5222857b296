"""How a satellite moves, seen from the turning Earth: two-body attraction and the Earth's flattening (J2).

Everything is in ECEF, so that no absolute time is needed: the equations of motion do not change with time in axes
that turn with the Earth. *Inertial axes of the moment*: those that coincide with ECEF at that moment and do not turn;
position is the same in both, velocity differs by ω × r.
"""

import numpy as np

from onboard.geodesy import WGS84_A_M, Array, ecef_from_ned, geodetic_from_ecef

EARTH_GM_M3_S2 = 3.986004418e14  # WGS84
EARTH_J2 = 1.08262668e-3  # EGM96
EARTH_ROTATION_RAD_S = 7.292115e-5  # WGS84, sidereal

# A fiftieth of a radian of a low orbit: the method's own error stays below metres a revolution
# (tests/test_orbit_motion.py).
_STEP_S = 20.0
# ω × of the Earth, as a matrix.
SPIN_RAD_S = np.array([[0.0, -EARTH_ROTATION_RAD_S, 0.0], [EARTH_ROTATION_RAD_S, 0.0, 0.0], [0.0, 0.0, 0.0]])


def inertial_velocity(position_ecef_m: Array, velocity_ecef_m_s: Array) -> Array:
    """Velocity (..., 3) along the inertial axes of the moment."""
    return velocity_ecef_m_s + position_ecef_m @ SPIN_RAD_S.T


def earth_fixed_velocity(position_ecef_m: Array, velocity_inertial_m_s: Array) -> Array:
    """Velocity (..., 3) as seen from the turning Earth."""
    return velocity_inertial_m_s - position_ecef_m @ SPIN_RAD_S.T


def level_velocity(state: Array) -> tuple[Array, Array]:
    """North and east (3, 2) at the nadir point of a state (6,), and its inertial velocity (2,) along them."""
    lat, lon, _ = (float(value) for value in geodetic_from_ecef(state[:3]))
    level = ecef_from_ned(lat, lon)[:, :2]
    return level, level.T @ inertial_velocity(state[:3], state[3:])


def track_rad(state: Array) -> float:
    """Azimuth of the inertial velocity of a state (6,)."""
    _, (north, east) = level_velocity(state)
    return float(np.arctan2(east, north))


def turned_with_earth(vectors: Array, elapsed_s: Array) -> Array:
    """ECEF vectors (N, 3) of moments ``elapsed_s`` (N,) in the inertial axes that coincide with ECEF at zero."""
    angle = EARTH_ROTATION_RAD_S * np.asarray(elapsed_s, np.float64)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = np.moveaxis(np.asarray(vectors, np.float64), -1, 0)
    return np.stack([cos * x - sin * y, sin * x + cos * y, z * np.ones_like(cos)], axis=-1)


def propagate(state: Array, seconds: float) -> Array:
    """The state (6,), ECEF metres and metres a second, after (or, negative, before) some seconds."""
    return _integrate(state, seconds, with_transition=False)[0]


def propagate_with_transition(state: Array, seconds: float) -> tuple[Array, Array]:
    """`propagate`, and the derivative (6, 6) of the later state by the earlier one."""
    return _integrate(state, seconds, with_transition=True)


def _integrate(state: Array, seconds: float, *, with_transition: bool) -> tuple[Array, Array]:
    """Classical Runge-Kutta of order 4, the transition matrix along with the state."""
    steps = max(1, int(np.ceil(abs(seconds) / _STEP_S)))
    h = seconds / steps
    x, transition = np.array(state, np.float64), np.eye(6)
    for _ in range(steps):
        k1 = _rate(x)
        x2 = x + h / 2 * k1
        k2 = _rate(x2)
        x3 = x + h / 2 * k2
        k3 = _rate(x3)
        x4 = x + h * k3
        k4 = _rate(x4)
        if with_transition:
            d1 = _slope(x) @ transition
            d2 = _slope(x2) @ (transition + h / 2 * d1)
            d3 = _slope(x3) @ (transition + h / 2 * d2)
            d4 = _slope(x4) @ (transition + h * d3)
            transition = transition + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x, transition


def _rate(state: Array) -> Array:
    """Derivative (6,) of a state by time (Vallado, Fundamentals of Astrodynamics, 4th ed., eq. 8-30 for J2; Coriolis
    and centrifugal acceleration of the turning axes)."""
    x, y, z, vx, vy, vz = state.tolist()  # plain floats: six numbers are too few for numpy to pay
    r2 = x * x + y * y + z * z
    pull = -EARTH_GM_M3_S2 / (r2 * r2**0.5)
    bulge = 1.5 * EARTH_J2 * WGS84_A_M**2 / r2
    polar = 5 * z * z / r2
    across = pull * (1 + bulge * (1 - polar))
    w = EARTH_ROTATION_RAD_S
    return np.array(
        [
            vx,
            vy,
            vz,
            across * x + w * w * x + 2 * w * vy,
            across * y + w * w * y - 2 * w * vx,
            pull * (1 + bulge * (3 - polar)) * z,
        ]
    )


def _slope(state: Array) -> Array:
    """Derivative (6, 6) of `_rate` by the state. J2 is a thousandth of the central attraction, but turns a transition
    of half a day into another one."""
    r = state[:3]
    r2 = float(r @ r)
    gradient = EARTH_GM_M3_S2 / (r2 * r2**0.5) * (3 * np.outer(r, r) / r2 - np.eye(3))
    polar = r[2] ** 2 / r2
    by_polar = 2 / r2 * (np.array([0.0, 0.0, r[2]]) - polar * r)
    part = np.array([1.0, 1.0, 3.0]) - 5 * polar
    bulge = -1.5 * EARTH_GM_M3_S2 * EARTH_J2 * WGS84_A_M**2 / r2**2.5
    gradient += bulge * (np.diag(part) - 5 * np.outer(r, by_polar) - 5 * np.outer(part * r, r) / r2)
    w = EARTH_ROTATION_RAD_S
    gradient[0, 0] += w * w
    gradient[1, 1] += w * w
    slope = np.zeros((6, 6))
    slope[:3, 3:] = np.eye(3)
    slope[3:, :3] = gradient
    slope[3, 4], slope[4, 3] = 2 * w, -2 * w
    return slope
