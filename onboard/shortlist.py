"""The shortlist: of the many places voted for, those whose votes hold one another's distances.

A bin leaves room for its size in place and thirty degrees in heading, so that on every frame three matches meet in many
of them by chance. Matches that also lie apart on the ground as they do in the frame, to a few pixels, are rare: right
places with three votes, the fifteenth or thirtieth by votes, are among the first three here (docs/results.md).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.ground_plane import Ground, as_ground
from onboard.landmarks import Catalogue
from onboard.matches import Matches, View, local_heading_deg, nadir_heading_deg
from onboard.verification import (
    BASE_PX,
    MAX_KEYPOINT_TURN_DEG,
    REACH_PX,
    TOLERANCE_PX,
    best_similarity,
    distinct,
    may_be,
    offsets_from,
)
from onboard.voting import Candidate


def shortlist(
    candidates: Sequence[Candidate],
    matches: Matches,
    weight: NDArray[np.float32],
    view: View,
    catalogue: Catalogue,
    top: int,
) -> list[Candidate]:
    """The ``top`` of the candidates, most convincing first: by the weight of those of a frame's matches worldwide, each
    of weight (K,), that agree on the place (`best_similarity`), in distinct spots."""
    of_candidate, member, place = _possible(candidates, matches, view, catalogue)
    frame = as_ground(view.ground_m)[matches.feature[member]]
    tolerance_m, base_m = TOLERANCE_PX * view.gsd_m, BASE_PX * view.gsd_m
    bounds = np.searchsorted(of_candidate, np.arange(len(candidates) + 1)).tolist()
    support = np.zeros(len(candidates))
    for number, part in enumerate(map(slice, bounds[:-1], bounds[1:])):
        its, its_weight = matches[member[part]], weight[member[part]]
        agree = best_similarity(frame[part], place[part], its_weight, tolerance_m, base_m)
        if agree.any():
            counted = distinct(its[agree], its_weight[agree], view)
            support[number] = its_weight[agree][counted].sum()
    return [candidates[number] for number in np.argsort(-support, kind="stable")[:top]]


def _possible(
    candidates: Sequence[Candidate], matches: Matches, view: View, catalogue: Catalogue
) -> tuple[NDArray[np.int64], NDArray[np.int64], Ground]:
    """Which matches may be right at which candidates, by place and direction: numbers (P,) of candidates, rising, and
    of matches; and where the candidate predicts the landmark, ground offsets (P,)."""
    unit = np.array([candidate.unit for candidate in candidates]).reshape(-1, 3)
    heading_deg = np.array([candidate.heading_deg for candidate in candidates])
    of_candidate, member = _in_view(unit, heading_deg, matches, view, catalogue)
    offsets, angle_deg = offsets_from(
        unit[of_candidate], heading_deg[of_candidate], catalogue, matches.landmark[member]
    )
    place = as_ground(offsets)
    possible = may_be(view, matches.feature[member], place, angle_deg, REACH_PX * view.gsd_m)
    return of_candidate[possible], member[possible], place[possible]


def _in_view(
    unit: Array, heading_deg: Array, matches: Matches, view: View, catalogue: Catalogue
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which matches propose about the heading of which candidates (C, 3), (C,), of a landmark in view there: numbers
    (P,) of candidates, rising, and of matches."""
    proposed_deg = nadir_heading_deg(matches, view, catalogue, local_heading_deg(matches, view, catalogue))
    order = np.argsort(proposed_deg)
    rising = proposed_deg[order]
    # Once around the circle and a window more on either side.
    rising = np.concatenate([rising - 360, rising, rising + 360])
    order = np.tile(order, 3)
    landmark = catalogue.unit[matches.landmark[order]]
    start = np.searchsorted(rising, heading_deg - MAX_KEYPOINT_TURN_DEG)
    stop = np.searchsorted(rising, heading_deg + MAX_KEYPOINT_TURN_DEG)
    least = np.cos(float(view.way_rad.max(initial=0.0)) + REACH_PX * view.gsd_m / EARTH_RADIUS_M)
    found = [
        order[first + np.flatnonzero(landmark[first:last] @ aim > least)]
        for first, last, aim in zip(start, stop, unit.astype(np.float32))
    ]
    counts = [len(members) for members in found]
    return np.repeat(np.arange(len(unit)), counts), np.concatenate([np.empty(0, np.int64), *found])
