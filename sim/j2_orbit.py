"""A satellite under the Earth's central attraction and its flattening, integrated numerically."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from onboard.geodesy import WGS84_A_M, Array
from onboard.orbit_motion import EARTH_GM_M3_S2, EARTH_J2
from sim.earth_frames import itrs_from_gcrs

# Centimetres a day in a low orbit, there and back (tests/test_orbit.py).
_RELATIVE_TOLERANCE, _ABSOLUTE_TOLERANCE = 1e-11, 1e-6


@dataclass(frozen=True)
class J2Orbit:
    """Two-body motion with J2 in GCRS, from a state (m, m/s) at a UTC epoch.

    The equations of motion (Vallado, Fundamentals of Astrodynamics, 4th ed., eq. 8-30, J2 alone), by the Dormand-Prince
    method of order 8 (Hairer, Norsett, Wanner, DOP853). The Earth's axis is taken as the GCRS pole, a seventh of a
    degree from the true one: truth and picture share it. A day takes a tenth of a second to integrate: give an epoch
    near the times.
    """

    epoch: np.datetime64
    position_gcrs_m: tuple[float, float, float]
    velocity_gcrs_m_s: tuple[float, float, float]

    def gcrs_states(self, times: NDArray[np.datetime64]) -> tuple[Array, Array]:
        """Position (m) and velocity (m/s), (N, 3), in GCRS."""
        elapsed_s = (np.atleast_1d(times).astype("datetime64[us]") - self.epoch) / np.timedelta64(1, "s")
        states = np.empty((len(elapsed_s), 6))
        for direction in (elapsed_s < 0, elapsed_s >= 0):
            moments, where = np.unique(elapsed_s[direction], return_inverse=True)
            states[direction] = self._integrate(moments)[where]
        return states[:, :3], states[:, 3:]

    def states(self, times: NDArray[np.datetime64]) -> tuple[Array, Array]:
        """Position (m) and velocity (m/s), (N, 3), in ECEF."""
        return itrs_from_gcrs(np.atleast_1d(times), *self.gcrs_states(times))

    def _integrate(self, elapsed_s: Array) -> Array:
        """States (N, 6) at ascending times, all on one side of the epoch."""
        start = np.array([*self.position_gcrs_m, *self.velocity_gcrs_m_s])
        if not np.any(elapsed_s):  # nowhere to go: solve_ivp wants a way
            return np.tile(start, (len(elapsed_s), 1))
        order = slice(None, None, -1 if elapsed_s[0] < 0 else 1)
        solution = solve_ivp(
            _motion, (0.0, elapsed_s[order][-1]), start, "DOP853", elapsed_s[order],
            rtol=_RELATIVE_TOLERANCE, atol=_ABSOLUTE_TOLERANCE,
        )  # fmt: skip
        return solution.y.T[order]


def _motion(_: float, state: Array) -> tuple[float, ...]:
    # Plain floats: six numbers are too few for numpy to pay.
    x, y, z, vx, vy, vz = state.tolist()
    r2 = x * x + y * y + z * z
    pull = -EARTH_GM_M3_S2 / (r2 * r2**0.5)
    bulge = 1.5 * EARTH_J2 * WGS84_A_M**2 / r2
    polar = 5 * z * z / r2
    across = pull * (1 + bulge * (1 - polar))
    return vx, vy, vz, across * x, across * y, pull * (1 + bulge * (3 - polar)) * z
