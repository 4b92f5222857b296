"""Is the stated chance of a false fix honest? Frames whose best place is wrong, by what they state.

The reliability diagram of a forecast of rare events (Murphy and Winkler 1977), cumulative: a frame that shows nothing
known states ``p`` or less with a chance of ``p`` at most.
"""

from collections.abc import Sequence

from sim.proportion import at_most, rate
from sim.record_log import Record

# Beyond 0.1 nothing is claimed: what scores less than the tail states 1 (onboard/acceptance.py).
LEVELS = (*(float(f"{mantissa}e{power}") for power in range(-6, -1) for mantissa in (1, 2, 5)), 0.1)


def reliability(truths: Sequence[Record], fixes: Sequence[Record], limit_m: float) -> Record | None:
    """Of the frames whose best place is not right (within ``limit_m``; in a frame that shows no Earth none is): at
    every level p the share that stated p or less, with Wilson's interval; and by group how near a wrong fix was.

    Frames refused before any place was looked for count, as having stated 1. None where best places are not known.
    """
    pairs = [
        (truth, fix)
        for truth, fix in zip(truths, fixes, strict=True)
        if fix["best_probability"] is not None and (fix["best_error_m"] is None or fix["best_error_m"] > limit_m)
    ]
    if not pairs:
        return None
    return _summary([fix for _, fix in pairs]) | {
        "groups": {
            name: _summary([fix for truth, fix in pairs if truth["group"] == name])
            for name in dict.fromkeys(truth["group"] for truth, _ in pairs)
        }
    }


def _summary(fixes: Sequence[Record]) -> Record:
    stated = [fix["best_probability"] for fix in fixes]
    levels = []
    for level in LEVELS:
        hits = sum(probability <= level for probability in stated)
        share = rate(hits, len(fixes)) | {"at_most95": at_most(hits, len(fixes))}
        levels.append({"stated": level, "frames": hits} | share)
    return {
        "frames": len(fixes),
        "searched": sum(fix["best_score"] > 0 for fix in fixes),
        "best_score": max(fix["best_score"] for fix in fixes),
        "least_stated": min(stated),
        "levels": levels,
    }
