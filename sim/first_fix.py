"""How long a satellite that is lost stays lost: the time from the first frame of a flight to its first right fix."""

from collections.abc import Sequence

import numpy as np

from sim.proportion import rate
from sim.record_log import Record

ACCURATE_M = 5e3
# How long to fly is reckoned from the middle of the mission's altitudes: once round takes a little more or less.
_ONCE_ROUND = 0.97


def first_fixes(pairs: Sequence[tuple[Record, Record, str]], revolutions_s: Sequence[float]) -> Record | None:
    """Of every flight: seconds to the first right fix and to the first within ACCURATE_M (None: never), and whether the
    first fix at all was wrong; and over all flights the shares within one revolution (None where any is shorter) and
    the median time to the first right fix (None: half of the flights or more never had one). None without flights.

    pairs: (truth, fix, outcome) of all frames; revolutions_s: of every flight, by its number.
    """
    if not revolutions_s:
        return None
    flights: list[Record] = []
    for number, revolution_s in enumerate(revolutions_s):
        frames = [pair for pair in pairs if pair[0]["flight"] == number]
        right = [(truth, fix) for truth, fix, result in frames if result == "right"]
        accurate = [(truth, fix) for truth, fix in right if fix["error_m"] <= ACCURATE_M]
        fixed = [result for _, _, result in frames if result != "none"]
        begin = frames[0][0]
        seconds = [_seconds_between(begin, truth) for truth, _, _ in frames]
        flights.append(
            {
                "flight": number,
                "frames": len(frames),
                "flown_s": seconds[-1],
                "revolution_s": revolution_s,
                "lasts_a_revolution": lasts_a_revolution(seconds, revolution_s),
                "first_fix_s": _seconds_between(begin, right[0][0]) if right else None,
                "first_accurate_fix_s": _seconds_between(begin, accurate[0][0]) if accurate else None,
                "first_was_wrong": fixed[:1] == ["wrong"],
            }
        )

    def within(key: str) -> Record | None:
        if not all(flight["lasts_a_revolution"] for flight in flights):
            return None
        hits = sum(flight[key] is not None and flight[key] <= flight["revolution_s"] for flight in flights)
        return rate(hits, len(flights))

    times = [flight["first_fix_s"] for flight in flights]
    return {
        "flights": flights,
        "within_one_revolution": within("first_fix_s"),
        "accurate_within_one_revolution": within("first_accurate_fix_s"),
        "accurate_m": ACCURATE_M,
        "median_first_fix_s": median_s(times),
        "never": times.count(None),
    }


def lasts_a_revolution(seconds: Sequence[float], revolution_s: float) -> bool:
    """Whether a flight with frames at these times goes once round: one more at its beat would have come later."""
    return len(seconds) > 1 and 2 * seconds[-1] - seconds[-2] >= _ONCE_ROUND * revolution_s


def median_s(times: Sequence[float | None]) -> float | None:
    """The median of times of which some never came (None): None where that is not reached."""
    middle = float(np.median([np.inf if time is None else time for time in times])) if len(times) else np.inf
    return middle if np.isfinite(middle) else None


def _seconds_between(first: Record, second: Record) -> float:
    """From one truth record to another."""
    start, end = (np.datetime64(truth["time_utc"][:-1]) for truth in (first, second))
    return float((end - start) / np.timedelta64(1, "s"))
