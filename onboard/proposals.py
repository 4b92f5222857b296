"""What a frame's features propose: the nearest landmarks worldwide, and agreements around the places shortlisted."""

from collections.abc import Sequence
from concurrent.futures import Executor

import faiss
import numpy as np
from numpy.typing import NDArray

from onboard.clock import Clock
from onboard.fix import Prior
from onboard.geodesy import EARTH_RADIUS_M, unit_from_latlon
from onboard.landmarks import Catalogue
from onboard.matches import Matches, View
from onboard.search import Search
from onboard.verification import Consensus, Verifier
from onboard.voting import Candidate

_AT_ONCE = 4  # candidates verified before asking whether that was enough


def nearest_landmarks(
    index: faiss.IndexIVFPQFastScan, catalogue: Catalogue, search: Search, view: View, prior: Prior | None
) -> tuple[Matches, NDArray[np.float32]]:
    """Every feature with its nearest landmarks of the whole Earth, or of what the prior allows, and how alike they are
    (cosines (K,), as the index has them)."""
    found = index.search(view.features.descriptors, search.neighbours)
    likeness, numbers = found[0].ravel(), found[1].ravel()
    matches = Matches(np.repeat(np.arange(len(view), dtype=np.int64), search.neighbours), numbers)
    allowed = numbers >= 0
    if prior is not None:
        way_rad = (5 * prior.sigma_m + search.bin_m) / EARTH_RADIUS_M + float(view.way_rad.max())
        middle = unit_from_latlon(prior.lat_deg, prior.lon_deg)
        allowed &= catalogue.unit[numbers] @ middle > np.cos(min(way_rad + view.plane.nadir_way_rad, np.pi))
    return matches[allowed], likeness[allowed]


def agreements(
    verifier: Verifier,
    candidates: Sequence[Candidate],
    view: View,
    worldwide: NDArray[np.int64],
    enough: float,
    threads: Executor,
    clock: Clock,
) -> list[Consensus]:
    """Candidates verified in order, heaviest agreement first; the rest is not looked at once one has more than
    ``enough`` support: so much that chance does not explain it."""

    def verify(candidate: Candidate) -> Consensus:
        clock.check()
        return verifier.verify(candidate, view, worldwide)

    found: list[Consensus] = []
    for start in range(0, len(candidates), _AT_ONCE):
        found += threads.map(verify, candidates[start : start + _AT_ONCE])
        found.sort(key=lambda consensus: -consensus.support)
        if found[0].support > enough:
            break
    return found
