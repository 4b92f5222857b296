"""Real and simulated measures beside each other, and whether the simulated ones foretell the real ones."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from onboard.geodesy import Array
from sim.record_log import Record

MEASURES = (
    "luminance", "luminance_deviation", "local_contrast", "spectrum_slope", "pixel_sharpness", "saturation",
    "red_to_blue", "correlation_red_green", "correlation_green_blue", "correlation_red_blue", "keypoints_per_kpx",
    "matches", "inliers", "chance_inliers", "inlier_rate",
)  # fmt: skip


def compare(real: list[Record], simulated: list[Record]) -> dict[str, Any]:
    """For all pictures and for each label: the distributions of every measure, real and simulated; the distance of
    the luminance histograms; how many were located; and the rank correlation of inliers, picture by picture."""
    labels = sorted({record["label"] for record in real})
    groups = {"all": list(range(len(real)))}
    groups |= {label: [i for i, record in enumerate(real) if record["label"] == label] for label in labels}
    land = [i for i, record in enumerate(real) if record["label"].startswith("land")]
    if land:
        groups["all land"] = land
    return {name: _group([real[i] for i in chosen], [simulated[i] for i in chosen]) for name, chosen in groups.items()}


def _group(real: list[Record], simulated: list[Record]) -> dict[str, Any]:
    histograms = [np.array([record["luminance_histogram"] for record in side]) for side in (real, simulated)]
    pairs = [histogram_distance(a, b) for a, b in zip(*histograms)]
    return {
        "pictures": len(real),
        "located": {"real": sum(r["solved"] for r in real), "simulated": sum(r["solved"] for r in simulated)},
        "wrong": {"real": sum(r["wrong"] for r in real), "simulated": sum(r["wrong"] for r in simulated)},
        "histogram_distance": {
            "pooled": round(histogram_distance(*(side.mean(axis=0) for side in histograms)), 4),
            "pair_median": round(float(np.median(pairs)), 4),
        },
        "inlier_rank_correlation": _rounded(
            rank_correlation([r["inliers"] for r in real], [r["inliers"] for r in simulated])
        ),
        "measures": {name: _measure(real, simulated, name) for name in MEASURES},
    }


def _measure(real: list[Record], simulated: list[Record], name: str) -> dict[str, Any]:
    """Deciles of both; where the real median stands among the simulated (percent); share of the real ones between the
    5th and 95th percentile of the simulated (a perfect simulator: 0.9); their distance in units of the real spread."""
    sides = [np.array([record[name] for record in side], float) for side in (real, simulated)]
    sides = [side[np.isfinite(side)] for side in sides]
    if not len(sides[0]) or not len(sides[1]):
        return {"real": None, "simulated": None, "percentile": None, "covered": None, "distance": None}
    ours, theirs = sides
    low, high = np.quantile(theirs, [0.05, 0.95])
    quantiles = np.linspace(0.02, 0.98, 49)
    spread = max(float(np.diff(np.quantile(ours, [0.25, 0.75]))[0]) / 1.349, 1e-6)
    apart = float(np.abs(np.quantile(ours, quantiles) - np.quantile(theirs, quantiles)).mean())
    return {
        "real": _deciles(ours),
        "simulated": _deciles(theirs),
        "percentile": round(float((theirs < np.median(ours)).mean() + (theirs == np.median(ours)).mean() / 2) * 100, 1),
        "covered": round(float(((ours >= low) & (ours <= high)).mean()), 3),
        "distance": round(apart / spread, 3),
    }


def _deciles(values: Array) -> list[float]:
    return [round(float(value), 4) for value in np.quantile(values, [0.1, 0.5, 0.9])]


def histogram_distance(a: Array, b: Array) -> float:
    """Wasserstein-1 distance of two histograms over 0 to 1 (the mean shift of luminance that turns one into the
    other; Rubner et al. 2000)."""
    return float(np.abs(np.cumsum(a) - np.cumsum(b)).mean())


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's coefficient, ties at their mean rank; NaN when one side is constant or there are fewer than 3."""
    if len(np.asarray(a)) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def _rounded(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None


def table(comparison: dict[str, Any]) -> str:
    """The comparison for people."""
    lines = [f"{'pictures':27}{'located real':>14}{'simulated':>11}{'histogram distance':>20}{'inlier rank corr.':>19}"]
    for name, group in comparison.items():
        correlation, apart = group["inlier_rank_correlation"], group["histogram_distance"]["pooled"]
        lines.append(
            f"{name:22}{group['pictures']:5}{group['located']['real']:14}{group['located']['simulated']:11}"
            f"{apart:20.3f}{'-' if correlation is None else format(correlation, '.2f'):>19}"
        )
    for name, group in comparison.items():
        lines += ["", f"{name:24}{'real 10 50 90 %':>25}{'simulated 10 50 90 %':>27}{'median at':>11}{'covered':>9}"]
        for measure, found in group["measures"].items():
            if found["real"] is None:
                continue
            real, simulated = (" ".join(f"{value:7.3g}" for value in found[side]) for side in ("real", "simulated"))
            lines.append(f"{measure:24}{real:>25}{simulated:>27}{found['percentile']:10.0f}%{found['covered']:9.0%}")
    return "\n".join(lines)
