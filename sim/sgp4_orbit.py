"""An orbit given as mean elements of SGP4: a two-line element set, or a CCSDS orbit mean-elements message."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sgp4 import omm
from sgp4.api import SGP4_ERRORS, Satrec

from onboard.geodesy import Array
from sim.earth_frames import itrs_from_teme
from sim.errors import SimError

# SGP4 loses kilometres a day; after a month the ground track is fiction.
MAX_AGE_DAYS = 30.0
# What CCSDS 502.0 lets a message leave out, as SGP4 takes it when absent.
_OMM_DEFAULTS = {
    "CLASSIFICATION_TYPE": "U", "EPHEMERIS_TYPE": "0", "ELEMENT_SET_NO": "0", "REV_AT_EPOCH": "0", "NORAD_CAT_ID": "0",
    "OBJECT_ID": "0000-000A", "MEAN_MOTION_DDOT": "0",
}  # fmt: skip

_OMM_KINDS = {"MEAN_ELEMENT_THEORY": ("SGP4", "SGP/SGP4"), "TIME_SYSTEM": ("UTC",), "REF_FRAME": ("TEME",)}


class Sgp4Orbit:
    """SGP4 (Vallado et al. 2006, as in the sgp4 package, WGS72 constants).

    Raises SimError for elements that cannot be read, for times more than MAX_AGE_DAYS from their epoch, and when SGP4
    reports an error (decay, eccentricity out of range).
    """

    def __init__(self, satellite: Satrec, kind: str) -> None:
        if satellite.error:
            raise SimError(f"the {kind} is no orbit: {SGP4_ERRORS[satellite.error]}")
        self._satellite, self._kind = satellite, kind

    @classmethod
    def from_tle(cls, line1: str, line2: str) -> "Sgp4Orbit":
        """From the two lines of a TLE."""
        try:
            satellite = Satrec.twoline2rv(line1, line2)
        except (ValueError, IndexError) as error:
            raise SimError(f"the TLE cannot be read: {error}") from error
        return cls(satellite, "TLE")

    @classmethod
    def from_omm(cls, fields: Mapping[str, str]) -> "Sgp4Orbit":
        """From the keywords and values of an OMM (`onboard.omm`)."""
        for keyword, known in _OMM_KINDS.items():
            if fields.get(keyword, known[0]).upper() not in known:
                raise SimError(f"the OMM has {keyword} {fields[keyword]}; only {known[0]} can be flown")
        epoch = fields.get("EPOCH", "").removesuffix("Z").replace(" ", "T")
        plain = {**_OMM_DEFAULTS, **fields, "EPOCH": epoch if "." in epoch else f"{epoch}.0"}
        satellite = Satrec()
        try:
            omm.initialize(satellite, plain)
        except KeyError as error:
            raise SimError(f"the OMM has no {error.args[0]}") from error
        except ValueError as error:
            raise SimError(f"the OMM cannot be read: {error}") from error
        return cls(satellite, "OMM")

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
                f"the {self._kind} is of {np.datetime_as_string(self.epoch, 's')} UTC, {age_days.max():.0f} days from "
                f"the time asked for (limit {MAX_AGE_DAYS:.0f}): give --start near it, or a newer {self._kind}"
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
