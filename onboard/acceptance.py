"""How likely a wrong place reaches a score: the tail of the best wrong consensus, and the limit drawn from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from onboard.errors import PackError


@dataclass(frozen=True)
class Acceptance:
    """The best wrong consensus of a frame is taken to have an exponential tail:
    P(count >= n) = min(1, share * exp(-(n - anchor) / decay)), fitted on ``frames`` frames that show no place of the
    catalogue, the best of all candidates tried being the sample, so that the number of hypotheses is paid for.
    limit: the accepted risk per frame."""

    anchor: int
    share: float
    decay: float
    frames: int
    limit: float

    def false_fix_probability(self, count: int) -> float:
        """Probability that a frame showing nothing known would reach ``count`` inliers."""
        return float(min(1.0, self.share * np.exp(-(count - self.anchor) / self.decay)))

    def accepts(self, count: int) -> bool:
        return self.false_fix_probability(count) <= self.limit

    @property
    def least_count(self) -> int:
        """The smallest count that is accepted."""
        return int(np.ceil(self.anchor + self.decay * np.log(self.share / self.limit) - 1e-9))

    @classmethod
    def none(cls, limit: float) -> "Acceptance":
        """Accepts nothing: what a pack has until it is calibrated."""
        return cls(anchor=0, share=1.0, decay=1e9, frames=0, limit=limit)

    def to_plain(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Acceptance":
        """Raises PackError when the manifest's entry is malformed."""
        try:
            acceptance = cls(
                int(plain["anchor"]), float(plain["share"]), float(plain["decay"]), int(plain["frames"]),
                float(plain["limit"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise PackError(f"the manifest's acceptance is malformed ({error}); rebuild the pack") from error
        if not (0 < acceptance.share <= 1 and acceptance.decay > 0 and 0 < acceptance.limit < 1):
            raise PackError("the manifest's acceptance is out of range; rebuild the pack")
        return acceptance


def fit_acceptance(counts: ArrayLike, limit: float) -> Acceptance:
    """Fit the tail to the best wrong counts (N,) of N frames.

    The anchor is the 90th percentile; beyond it the counts are taken as geometric, whose decay is estimated with
    one pseudo-exceedance more than was seen, so that a sample without a tail does not promise none.
    """
    sample = np.asarray(counts, int)
    anchor = int(np.quantile(sample, 0.9))
    beyond = sample[sample >= anchor]
    excess = float((beyond - anchor).sum() + 1) / len(beyond)
    decay = 1 / np.log1p(1 / excess)
    return Acceptance(anchor, len(beyond) / len(sample), float(decay), len(sample), limit)
