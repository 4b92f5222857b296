"""UTC times as people write them (ISO 8601)."""

import re

import numpy as np

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?")


def utc_time(text: str) -> np.datetime64:
    """A time to the microsecond, ``2018-04-28T06:34:43.918754Z`` say: a date alone is its midnight, without an offset
    it is UTC. Raises ValueError, naming the text, when it is none."""
    found = _ISO.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no UTC time such as 2026-07-01T12:00:00.250Z")
    date, clock, offset = found.groups()
    try:
        time = np.datetime64(f"{date}T{clock or '00:00'}", "us")
    except ValueError as error:
        raise ValueError(f"{text!r} is no UTC time ({error})") from None
    if offset in (None, "Z"):
        return time
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError(f"{text!r} is no UTC time (no clock is {offset} from UTC)")
    minutes += 60 * hours
    return time + np.timedelta64(minutes if offset[0] == "-" else -minutes, "m")


def nanoseconds(time: np.datetime64) -> int:
    """A time, to the microsecond, as a clock of flight software has it: nanoseconds since 1970."""
    return int(time.astype("datetime64[us]").astype(np.int64)) * 1000
