"""An orbit given as a two-line element set."""

import numpy as np
from numpy.typing import NDArray
from sgp4.api import SGP4_ERRORS, Satrec

from onboard.geodesy import Array
from sim.earth_frames import itrs_from_teme
from sim.errors import SimError

# SGP4 loses kilometres a day; after a month the ground track is fiction.
MAX_AGE_DAYS = 30.0


class Sgp4Orbit:
    """SGP4 (Vallado et al. 2006, as in the sgp4 package, WGS72 constants) from a TLE.

    Raises SimError for lines that are no TLE, for times more than MAX_AGE_DAYS from its epoch, and when SGP4
    reports an error (decay, eccentricity out of range).
    """

    def __init__(self, line1: str, line2: str) -> None:
        try:
            self._satellite = Satrec.twoline2rv(line1, line2)
        except (ValueError, IndexError) as error:
            raise SimError(f"the TLE cannot be read: {error}") from error
        if self._satellite.error:
            raise SimError(f"the TLE is no orbit: {SGP4_ERRORS[self._satellite.error]}")

    @property
    def epoch(self) -> np.datetime64:
        """Epoch of the elements, UTC."""
        days = self._satellite.jdsatepoch - 2440587.5 + self._satellite.jdsatepochF
        return np.datetime64(0, "us") + np.timedelta64(round(days * 86400e6), "us")

    def teme_states(self, times: NDArray[np.datetime64]) -> tuple[Array, Array]:
        """Position (m) and velocity (m/s), (N, 3), in the true equator, mean equinox frame."""
        times = np.atleast_1d(np.asarray(times, "datetime64[us]"))
        age_days = np.abs((times - self.epoch) / np.timedelta64(1, "D"))
        if age_days.max(initial=0.0) > MAX_AGE_DAYS:
            raise SimError(
                f"the TLE is of {np.datetime_as_string(self.epoch, 's')} UTC, {age_days.max():.0f} days from the time "
                f"asked for (limit {MAX_AGE_DAYS:.0f}): give --start near it, or a newer TLE"
            )
        # Whole and fractional days apart keep a microsecond.
        since_1970 = (times - np.datetime64(0, "us")).astype(np.int64)
        day, within_us = np.divmod(since_1970, 86_400_000_000)
        error, position_km, velocity_km_s = self._satellite.sgp4_array(day + 2440587.5, within_us / 86400e6)
        if error.any():
            first = int(np.flatnonzero(error)[0])
            when = np.datetime_as_string(times[first], "s")
            raise SimError(f"SGP4 fails at {when} UTC: {SGP4_ERRORS[int(error[first])]}")
        return position_km * 1e3, velocity_km_s * 1e3

    def states(self, times: NDArray[np.datetime64]) -> tuple[Array, Array]:
        """Position (m) and velocity (m/s), (N, 3), in ECEF."""
        return itrs_from_teme(np.atleast_1d(times), *self.teme_states(times))
