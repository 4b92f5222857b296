"""Inertial to Earth-fixed frames by astropy, with the IERS tables it ships: nothing is ever downloaded.

Times are UTC as numpy ``datetime64`` arrays; ITRS is the ECEF frame of `onboard.geodesy` to the centimetre.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import astropy.units as u
import numpy as np
from astropy.coordinates import GCRS, ITRS, TEME, CartesianDifferential, CartesianRepresentation, get_sun
from astropy.time import Time
from astropy.utils import iers
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import ArrayLike, NDArray

from onboard.geodesy import Array


def utc_times(start: np.datetime64, offsets_s: ArrayLike) -> NDArray[np.datetime64]:
    """UTC microsecond times (N,) at offsets in seconds after ``start``."""
    steps = np.round(np.asarray(offsets_s, np.float64) * 1e6).astype("timedelta64[us]")
    return start.astype("datetime64[us]") + steps


def itrs_from_teme(times: NDArray, position_m: Array, velocity_m_s: Array) -> tuple[Array, Array]:
    """Positions and velocities (N, 3) in ECEF of states in TEME, the frame of SGP4."""
    return _to_itrs(TEME, times, position_m, velocity_m_s)


def itrs_from_gcrs(times: NDArray, position_m: Array, velocity_m_s: Array) -> tuple[Array, Array]:
    """Positions and velocities (N, 3) in ECEF of states in GCRS (the inertial J2000 axes, to milliarcseconds)."""
    return _to_itrs(GCRS, times, position_m, velocity_m_s)


def ecef_from_gcrs(times: NDArray) -> Array:
    """Rotations (N, 3, 3) from GCRS axes to ECEF."""
    count = len(times)
    axes = np.tile(np.eye(3), (count, 1))
    # The frames share the Earth's centre: the image of a GCRS axis is a column of the rotation.
    images, _ = itrs_from_gcrs(np.repeat(times, 3), axes, np.zeros_like(axes))
    return images.reshape(count, 3, 3).swapaxes(1, 2)


def sun_ecef(times: NDArray) -> Array:
    """Unit vectors (N, 3) in ECEF from the Earth's centre to the apparent Sun."""
    with _bundled_tables():
        moments = _moments(times)
        xyz = get_sun(moments).transform_to(ITRS(obstime=moments)).cartesian.xyz.to_value(u.m).T
    return xyz / np.linalg.norm(xyz, axis=-1, keepdims=True)


def _to_itrs(frame: type, times: NDArray, position_m: Array, velocity_m_s: Array) -> tuple[Array, Array]:
    with _bundled_tables():
        moments = _moments(times)
        state = CartesianRepresentation(
            np.asarray(position_m).T * u.m,
            differentials=CartesianDifferential(np.asarray(velocity_m_s).T * (u.m / u.s)),
        )
        fixed = frame(state, obstime=moments).transform_to(ITRS(obstime=moments)).cartesian
        velocity = fixed.differentials["s"].d_xyz.to_value(u.m / u.s).T
        return fixed.without_differentials().xyz.to_value(u.m).T, velocity


def _moments(times: NDArray) -> Time:
    return Time(np.asarray(times, "datetime64[us]"), scale="utc")


@contextmanager
def _bundled_tables() -> Iterator[None]:
    # Outside its table astropy takes polar motion 0 and UT1 = UTC: below 450 m on the ground, and truth and
    # picture use the same axes, so a simulation of a far year stays consistent. Hence no error and no noise.
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", AstropyWarning)
        yield
