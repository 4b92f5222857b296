"""How likely a wrong place reaches a score: the tail of the best wrong hypothesis, and the limit drawn from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from onboard.errors import PackError

_TAIL_SHARE = 0.1  # of the sample, taken as its tail
# No sample of some hundred frames supports a smaller claim, however high the score.
LEAST_PROBABILITY = 1e-9
_LEAST_EXCEEDANCES = 5  # fewer say nothing of a tail
_NEVER = 1e9  # a score that no frame reaches

UNCALIBRATED = "the pack accepts nothing: too few mirrored views; run 'nadir index calibrate PACK' with more --frames"


@dataclass(frozen=True)
class Acceptance:
    """The best wrong score of a frame is taken to have an exponential tail:
    P(score >= s) = share * (1 + (s - anchor) / (n * decay))^-n, the posterior predictive of an exponential whose mean
    excess ``decay`` was estimated from n = ``exceedances`` scores beyond ``anchor`` (Jeffreys prior; it tends to the
    exponential for large n and pays for a small sample). The sample is the best of all hypotheses tried on frames
    that show no place of the catalogue, so that the number of hypotheses is paid for.
    limit: the accepted risk per frame."""

    anchor: float
    share: float
    decay: float
    exceedances: int
    limit: float

    def false_fix_probability(self, score: float) -> float:
        """Probability that a frame showing nothing known would reach ``score``; 1 below the tail, where the model
        says nothing."""
        if score < self.anchor:
            return 1.0
        count = self.exceedances
        tail = self.share * (1 + (score - self.anchor) / (count * self.decay)) ** -count
        return float(max(tail, LEAST_PROBABILITY))

    def accepts(self, score: float) -> bool:
        return self.false_fix_probability(score) <= self.limit

    @property
    def least_score(self) -> float:
        """The smallest score that is accepted."""
        return self.score_of(self.limit)

    def score_of(self, probability: float) -> float:
        """The score that a frame showing nothing known reaches with a probability; where that is more than the tail's
        share, of which the model says nothing, the tail's beginning."""
        count = self.exceedances
        return float(self.anchor + max(0.0, count * self.decay * ((self.share / probability) ** (1 / count) - 1)))

    @classmethod
    def none(cls, limit: float) -> "Acceptance":
        """Accepts nothing: what a pack has until it is calibrated."""
        return cls(anchor=_NEVER, share=1.0, decay=1.0, exceedances=1, limit=limit)

    @property
    def nothing(self) -> bool:
        """Whether no score is ever accepted."""
        return self.anchor >= _NEVER

    def to_plain(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Acceptance":
        """Raises PackError when the manifest's entry is malformed."""
        try:
            acceptance = cls(
                float(plain["anchor"]), float(plain["share"]), float(plain["decay"]), int(plain["exceedances"]),
                float(plain["limit"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PackError(f"the manifest's acceptance is malformed ({error}); rebuild the pack") from error
        if not (
            np.isfinite(acceptance.anchor)
            and 0 < acceptance.share <= 1
            and 0 < acceptance.decay < np.inf
            and acceptance.exceedances > 0
            and LEAST_PROBABILITY <= acceptance.limit < 1
        ):
            raise PackError("the manifest's acceptance is out of range; rebuild the pack")
        return acceptance


def fit_acceptance(scores: ArrayLike, limit: float) -> Acceptance:
    """Fit the tail to the best wrong scores (N,) of N frames, 0 where a frame had none: all beyond their 90th
    percentile and beyond the median of those that had one, since what lies before their bulk is no tail."""
    sample = np.asarray(scores, float)
    scored = sample[sample > 0]
    anchor = max(float(np.quantile(sample, 1 - _TAIL_SHARE)), float(np.median(scored)) if len(scored) else 0.0)
    excess = sample[sample > anchor] - anchor
    if len(excess) < _LEAST_EXCEEDANCES:
        return Acceptance.none(limit)
    return Acceptance(anchor, len(excess) / len(sample), float(excess.mean()), len(excess), limit)
