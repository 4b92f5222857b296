"""The places of a frame as evidence: distinct, rarest first, with what chance would give."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from onboard.acceptance import Acceptance
from onboard.geodesy import EARTH_RADIUS_M, Array, geodetic_from_ecef, heading_deg_of
from onboard.hypothesis import Hypothesis

_SAME_PLACE_M = 60e3  # two places of one frame this near are one, found twice
# Beside the stated sigma of a place: fixes' covariances are optimistic, and a mount is never quite true.
_PLACE_SIGMA_M = 5e3


@dataclass(frozen=True, eq=False)
class Place:
    """A hypothesis as evidence: unit (3,) towards it from the Earth's centre, ECEF; heading_deg; sigma_m, horizontal;
    rank: 1 for the best of its frame; rarity: how many wrong places as good a frame that shows nothing known is
    expected to have; fix: whether the frame's fix was made of it."""

    hypothesis: Hypothesis
    unit: Array
    heading_deg: float
    sigma_m: float
    rank: int
    rarity: float
    fix: bool = False


@dataclass(frozen=True, eq=False)
class FramePlaces:
    """The places of one frame, a fix's first, then rarest first, at ``time_s`` of the caller's clock."""

    time_s: float
    places: tuple[Place, ...]


def places_of(hypotheses: Sequence[Hypothesis], acceptance: Acceptance, fix: bool = False) -> tuple[Place, ...]:
    """The distinct places among a frame's hypotheses, which come best first; of one found twice the better. fix:
    whether the first is the frame's fix, the last word on its place, whatever more its votes had scored there."""
    places: list[Place] = []
    for hypothesis in hypotheses:
        if hypothesis.pose is None:
            continue
        position = hypothesis.pose.position_ecef_m
        unit = position / np.linalg.norm(position)
        if any(np.linalg.norm(unit - other.unit) * EARTH_RADIUS_M < _SAME_PLACE_M for other in places):
            continue
        heading = heading_of(hypothesis)
        sigma = float(np.sqrt(np.linalg.eigvalsh(hypothesis.pose.covariance[:2, :2])[-1]))
        rank = len(places) + 1
        rarity = rank * acceptance.false_fix_probability(hypothesis.score)
        spread = float(np.hypot(sigma, _PLACE_SIGMA_M))
        places.append(Place(hypothesis, unit, heading, spread, rank, rarity, fix and rank == 1))
    return tuple(places)


def heading_of(hypothesis: Hypothesis) -> float:
    """Azimuth of the image's up direction, degrees in [0, 360)."""
    assert hypothesis.pose is not None, "a place without a pose has no heading"
    lat, lon, _ = (float(value) for value in geodetic_from_ecef(hypothesis.pose.position_ecef_m))
    return heading_deg_of(hypothesis.pose.ecef_from_cam, lat, lon)


def turn_deg(a: ArrayLike, b: ArrayLike) -> Array:
    """The angle between headings, 0 to 180."""
    return np.abs((np.asarray(a) - np.asarray(b) + 180) % 360 - 180)
