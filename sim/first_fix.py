"""How long a satellite that is lost stays lost: the time from the first frame of a flight to its first right fix."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.proportion import rate

Record = dict[str, Any]

ACCURATE_M = 5e3


def first_fixes(pairs: Sequence[tuple[Record, Record, str]], revolutions_s: Sequence[float]) -> Record | None:
    """Of every flight: seconds to the first right fix and to the first within ACCURATE_M (None: never), and whether the
    first fix at all was wrong; and over all flights the shares within one revolution. None without flights.

    pairs: (truth, fix, outcome) of all frames; revolutions_s: of every flight, by its number.
    """
    if not revolutions_s:
        return None
    flights = []
    for number, revolution_s in enumerate(revolutions_s):
        frames = [pair for pair in pairs if pair[0]["flight"] == number]
        begin = np.datetime64(frames[0][0]["time_utc"][:-1])

        def seconds(found: list[Record], begin: np.datetime64 = begin) -> float | None:
            return float((np.datetime64(found[0]["time_utc"][:-1]) - begin) / np.timedelta64(1, "s")) if found else None

        right = [(truth, fix) for truth, fix, result in frames if result == "right"]
        fixed = [result for _, _, result in frames if result != "none"]
        flights.append(
            {
                "flight": number,
                "frames": len(frames),
                "revolution_s": revolution_s,
                "first_fix_s": seconds([truth for truth, _ in right]),
                "first_accurate_fix_s": seconds([truth for truth, fix in right if fix["error_m"] <= ACCURATE_M]),
                "first_was_wrong": fixed[:1] == ["wrong"],
            }
        )

    def within(key: str) -> Record:
        hits = sum(flight[key] is not None and flight[key] <= flight["revolution_s"] for flight in flights)
        return rate(hits, len(flights))

    times = sorted(flight["first_fix_s"] for flight in flights if flight["first_fix_s"] is not None)
    return {
        "flights": flights,
        "within_one_revolution": within("first_fix_s"),
        "accurate_within_one_revolution": within("first_accurate_fix_s"),
        "accurate_m": ACCURATE_M,
        "median_first_fix_s": float(np.median(times)) if times else None,
        "never": sum(flight["first_fix_s"] is None for flight in flights),
    }
