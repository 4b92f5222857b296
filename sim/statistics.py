"""What a campaign proved: frames solved and frames wrong, counted apart, with intervals."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from onboard.fix import Fix, Status
from sim.breakdown import BREAKDOWNS, bin_of
from sim.consistency import consistency
from sim.first_fix import first_fixes
from sim.proportion import at_most, rate
from sim.record_log import Record
from sim.reliability import reliability

# A fix is right within this distance of the true nadir point, or this share of the swath, whichever is more.
RIGHT_WITHIN_M, RIGHT_WITHIN_SWATH = 25e3, 0.03
DAY_ELEVATION_DEG = 5.0


def right_within_m(swath_m: float) -> float:
    """The distance (m) within which a fix is right."""
    return max(RIGHT_WITHIN_M, RIGHT_WITHIN_SWATH * swath_m)


def outcome(fix: Record, limit_m: float) -> str:
    """``right``, ``wrong`` or ``none`` of a record with ``status`` and ``error_m`` (None without a fix)."""
    if fix["status"] != "FIX":
        return "none"
    # Written so that an error that is no number is wrong.
    return "right" if fix["error_m"] is not None and fix["error_m"] <= limit_m else "wrong"


def campaign_statistics(
    truths: Sequence[Record], fixes: Sequence[Record], swath_m: float, revolutions_s: Sequence[float] = ()
) -> Record:
    """Statistics of a campaign from its truth and fix records of the same frames, in the same order.

    revolutions_s: how long once round takes, for every flight the frames belong to.
    """
    limit_m, swath_km = right_within_m(swath_m), swath_m / 1e3
    pairs = [(truth, fix, outcome(fix, limit_m)) for truth, fix in zip(truths, fixes, strict=True)]
    earthly = [pair for pair in pairs if pair[0]["lat_deg"] is not None]
    return {
        "right_within_m": limit_m,
        "right_within": f"{limit_m / 1e3:.0f} km (the more of 25 km and 3 % of the {swath_km:.0f} km swath)",
        "all": _summary(pairs, limit_m),
        "groups": {
            name: _summary([pair for pair in pairs if pair[0]["group"] == name], limit_m)
            for name in dict.fromkeys(truth["group"] for truth in truths)
        },
        "classes": {
            name: _summary([pair for pair in earthly if name in classes_of(pair[0])], limit_m) for name in CLASSES
        },
        "statuses": dict(sorted(Counter(fix["status"] for fix in fixes).items())),
        "breakdowns": {
            name: [
                {"bin": label}
                | _summary([pair for pair in earthly if bin_of(pair[0][breakdown.key], breakdown) == i], limit_m)
                for i, label in enumerate(breakdown.labels)
            ]
            for name, breakdown in BREAKDOWNS.items()
        },
        "consistency": consistency(
            [fix for _, fix, result in pairs if result == "right"],
            own_pointing=all(truth["flight"] is None for truth in truths),
        ),
        "reliability": reliability(truths, fixes, limit_m),
        "first_fix": first_fixes(pairs, revolutions_s),
        "latency_ms": percentiles([fix["latency_ms"] for fix in fixes]),
    }


CLASSES = (
    "day", "twilight", "night",
    "day land", "day coast", "day ocean",
    "day land clear", "day land partly cloudy", "day land mostly cloud",
)  # fmt: skip


def classes_of(truth: Record) -> tuple[str, ...]:
    """The classes a frame belongs to. Day: Sun above 5 degrees at the nadir point; night: below -6. Land: more than
    half of the frame's Earth; ocean: less than a twentieth; coast: between. Clear: cloud under a fifth; mostly: over
    0.6.
    """
    if truth["sun_elevation_deg"] <= DAY_ELEVATION_DEG:
        return ("night",) if truth["sun_elevation_deg"] < -6 else ("twilight",)
    land, cloud = truth["land_share"], truth["cloud_cover"]
    if land <= 0.5:
        return ("day", "day ocean" if land < 0.05 else "day coast")
    cover = "clear" if cloud < 0.2 else "mostly cloud" if cloud > 0.6 else "partly cloudy"
    return ("day", "day land", f"day land {cover}")


def _summary(pairs: Sequence[tuple[Record, Record, str]], limit_m: float) -> Record:
    counts = Counter(result for _, _, result in pairs)
    right_m = [fix["error_m"] for _, fix, result in pairs if result == "right"]
    return {
        "frames": len(pairs),
        "solved": counts["right"],
        "wrong": counts["wrong"],
        "no_fix": counts["none"],
        "solved_rate": rate(counts["right"], len(pairs)),
        "wrong_rate": rate(counts["wrong"], len(pairs)) | {"at_most95": at_most(counts["wrong"], len(pairs))},
        "wrong_stated": sum(_stated_wrong(fix, limit_m) for _, fix, result in pairs if result != "none"),
        "nadir_error_m": percentiles(right_m),
    }


def _stated_wrong(fix: Record, limit_m: float) -> float:
    """The chance of being wrong that a fix states itself: what is to be expected where it is honest."""
    sigma_m, probability = fix["sigma_m"], fix["false_fix_probability"]
    if sigma_m is None or probability is None:  # of another runtime, across a wire
        return 1.0
    return Fix(Status.FIX, sigma_m=sigma_m, false_fix_probability=probability).chance_beyond(limit_m)


def percentiles(values: Sequence[float]) -> Record:
    if not len(values):
        return {"median": None, "p68": None, "p95": None, "p99": None, "max": None}
    shares = {"median": 50, "p68": 68.27, "p95": 95, "p99": 99, "max": 100}
    return {name: float(np.percentile(values, share)) for name, share in shares.items()}
