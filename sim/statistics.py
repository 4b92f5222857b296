"""What a campaign proved: frames solved and frames wrong, counted apart, with intervals."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

Record = dict[str, Any]

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


def wilson_interval(hits: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Score interval (Wilson 1927) of a proportion, 95 % by default; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, z2 = hits / trials, z * z
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    # With no hit, or nothing but hits, the bound is exactly the end of the range.
    return (0.0 if hits == 0 else float(centre - half)), (1.0 if hits == trials else float(centre + half))


def campaign_statistics(truths: Sequence[Record], fixes: Sequence[Record], swath_m: float) -> Record:
    """Statistics of a campaign from its truth and fix records of the same frames, in the same order."""
    limit_m, swath_km = right_within_m(swath_m), swath_m / 1e3
    pairs = [(truth, fix, outcome(fix, limit_m)) for truth, fix in zip(truths, fixes, strict=True)]
    report: Record = {
        "right_within_m": limit_m,
        "right_within": f"{limit_m / 1e3:.0f} km (the more of 25 km and 3 % of the {swath_km:.0f} km swath)",
        "all": _summary(pairs),
        "classes": {},
        "statuses": dict(sorted(Counter(fix["status"] for _, fix, _ in pairs).items())),
        "latency_ms": _percentiles([fix["latency_ms"] for _, fix, _ in pairs]),
    }
    for name in CLASSES:
        members = [pair for pair in pairs if name in classes_of(pair[0])]
        report["classes"][name] = _summary(members)
    return report


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


def _summary(pairs: Sequence[tuple[Record, Record, str]]) -> Record:
    counts = Counter(result for _, _, result in pairs)
    right_m = [fix["error_m"] for _, fix, result in pairs if result == "right"]
    return {
        "frames": len(pairs),
        "solved": counts["right"],
        "wrong": counts["wrong"],
        "no_fix": counts["none"],
        "solved_rate": _rate(counts["right"], len(pairs)),
        "wrong_rate": _rate(counts["wrong"], len(pairs)),
        "nadir_error_m": _percentiles(right_m),
    }


def _rate(hits: int, trials: int) -> Record:
    low, high = wilson_interval(hits, trials)
    return {"value": hits / trials if trials else None, "low95": low, "high95": high}


def _percentiles(values: Sequence[float]) -> Record:
    if not len(values):
        return {"median": None, "p95": None, "max": None}
    return {
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(np.max(values)),
    }
