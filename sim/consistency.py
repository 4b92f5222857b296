"""Is the covariance honest? Normalised errors of right fixes against the chi-squared distribution they should have.

Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), 5.4.2 (NEES).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import chi2

from sim.record_log import Record

AXES = ("north", "east", "up")
BAND = (0.025, 0.975)  # the middle 95 % of a distribution
INLIER_EDGES = (0, 10, 20, 40, 80, 160, 100_000)


def consistency(fixes: Sequence[Record], own_pointing: bool) -> Record:
    """Of the fixes' normalised errors: ``joint`` (3 degrees of freedom), ``axes`` (1 each), and both ``by_inliers``.

    Each has n, the mean (expected: the degrees of freedom), mean_band95 (where the mean of n honest ones lies), and the
    shares inside, below and above the middle 95 % of the distribution (expected: 95, 2.5 and 2.5 %). own_pointing:
    whether each frame's pointing was drawn anew; if not, what lasts of it over a flight is in every error, the frames
    are fewer than they seem, and mean_band95 is None.
    """
    usable = [fix for fix in fixes if fix["normalised_error2"] is not None]
    return {
        "joint": _joint(usable, own_pointing),
        "axes": _axes(usable, own_pointing),
        "by_inliers": [
            {"inliers": f"{low} to {high - 1}" if high < INLIER_EDGES[-1] else f"{low} or more"}
            | _joint(members, own_pointing)
            | {"axes": _axes(members, own_pointing)}
            for low, high in pairwise(INLIER_EDGES)
            for members in [[fix for fix in usable if low <= fix["inliers"] < high]]
        ],
    }


def _joint(fixes: Sequence[Record], own_pointing: bool) -> Record:
    return against_chi2([fix["normalised_error2"] for fix in fixes], 3, own_pointing)


def _axes(fixes: Sequence[Record], own_pointing: bool) -> Record:
    return {axis: against_chi2([axis_error2(fix, i) for fix in fixes], 1, own_pointing) for i, axis in enumerate(AXES)}


def axis_error2(fix: Record, axis: int) -> float:
    """Squared error over variance along north (0), east (1) or up (2)."""
    error, sigma = fix["error_neu_m"][axis], fix["sigma_neu_m"][axis]
    return float("nan") if error is None or not sigma else (error / sigma) ** 2


def against_chi2(errors2: Sequence[float], freedom: int, independent: bool) -> Record:
    """Squared errors against the distribution of so many degrees of freedom, as of `consistency`."""
    values = np.array(errors2, float)
    values = values[np.isfinite(values)]
    n = len(values)
    if not n:
        return {"n": 0, "mean": None, "mean_band95": None, "inside95": None, "below": None, "above": None}
    low, high = chi2.ppf(BAND, freedom)
    return {
        "n": n,
        "mean": float(values.mean()),
        "mean_band95": [float(end) for end in chi2.ppf(BAND, n * freedom) / n] if independent else None,
        "inside95": float(((values >= low) & (values <= high)).mean()),
        "below": float((values < low).mean()),
        "above": float((values > high).mean()),
    }
