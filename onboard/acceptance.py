"""How likely a wrong place reaches a score: the tail of the best wrong hypothesis, and the limit drawn from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from onboard.errors import PackError

_TAIL_SHARE = 0.1  # of the sample, taken as its tail


@dataclass(frozen=True)
class Acceptance:
    """The best wrong score of a frame is taken to have an exponential tail:
    P(score >= s) = min(1, share * exp(-(s - anchor) / decay)), fitted on ``frames`` frames that show no place of the
    catalogue. The best of all hypotheses tried is the sample, so that their number is paid for.
    limit: the accepted risk per frame."""

    anchor: float
    share: float
    decay: float
    frames: int
    limit: float

    def false_fix_probability(self, score: float) -> float:
        """Probability that a frame showing nothing known would reach ``score``."""
        return float(min(1.0, self.share * np.exp(-(score - self.anchor) / self.decay)))

    def accepts(self, score: float) -> bool:
        return self.false_fix_probability(score) <= self.limit

    @property
    def least_score(self) -> float:
        """The smallest score that is accepted."""
        return float(self.anchor + self.decay * np.log(self.share / self.limit))

    @classmethod
    def none(cls, limit: float) -> "Acceptance":
        """Accepts nothing: what a pack has until it is calibrated."""
        return cls(anchor=0.0, share=1.0, decay=1e9, frames=0, limit=limit)

    def to_plain(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Acceptance":
        """Raises PackError when the manifest's entry is malformed."""
        try:
            acceptance = cls(
                float(plain["anchor"]), float(plain["share"]), float(plain["decay"]), int(plain["frames"]),
                float(plain["limit"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise PackError(f"the manifest's acceptance is malformed ({error}); rebuild the pack") from error
        if not (0 < acceptance.share <= 1 and acceptance.decay > 0 and 0 < acceptance.limit < 1):
            raise PackError("the manifest's acceptance is out of range; rebuild the pack")
        return acceptance


def fit_acceptance(scores: ArrayLike, limit: float) -> Acceptance:
    """Fit the tail to the best wrong scores (N,) of N frames.

    The anchor is the 90th percentile; the mean excess beyond it is the decay (maximum likelihood of an exponential),
    raised by two standard errors, because a sample's tail may be luckier than the truth's.
    """
    sample = np.sort(np.asarray(scores, float))
    anchor = float(np.quantile(sample, 1 - _TAIL_SHARE))
    excess = sample[sample > anchor] - anchor
    if len(excess) == 0:
        excess = np.array([1.0])
    decay = float(max(excess.mean(), 0.1) * (1 + 2 / np.sqrt(len(excess))))
    return Acceptance(anchor, len(excess) / len(sample), decay, len(sample), limit)
