"""How sure a count makes us of a proportion."""

from typing import Any

from scipy.stats import binomtest


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """Score interval (Wilson 1927) of a proportion, 95 %; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    interval = binomtest(hits, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def at_most(hits: int, trials: int) -> float:
    """What a proportion is at most, 95 % sure (Clopper and Pearson 1934, one-sided): with no hit in n trials 3/n, the
    rule of three (exactly 1 - 0.05**(1/n)); 1 without trials."""
    if trials == 0:
        return 1.0
    return float(binomtest(hits, trials, alternative="less").proportion_ci(method="exact").high)


def rate(hits: int, trials: int) -> dict[str, Any]:
    """A proportion and its Wilson interval."""
    low, high = wilson_interval(hits, trials)
    return {"value": hits / trials if trials else None, "low95": low, "high95": high}
