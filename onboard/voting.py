"""Votes of the whole Earth: two matches that lie apart on the ground as they do in the frame propose a place.

A match alone proposes a place and a heading, and nearly all are wrong. Two wrong ones seldom hold each other's distance
and direction: of seventeen thousand pairs of landmarks near enough to be in one view some seventy do, worldwide
(docs/decisions.md). So pairs are looked at, and the likeliest are the candidates: right places need two matches, one of
which may be far from likely where the other is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.landmarks import Catalogue
from onboard.matches import (
    Matches,
    View,
    local_heading_deg,
    nadir_heading_deg,
    proposed_nadir,
    way_azimuth_deg,
)
from onboard.pose import PoseKnowledge
from onboard.search import Search

BASE_PX = 30  # two keypoints nearer to one another tell no heading
TOLERANCE_PX = 3
MAX_KEYPOINT_TURN_DEG = 25.0  # between a frame's heading and the one that a keypoint's direction proposes
# 1-sigma of the same: 5 degrees for right matches of photographs (docs/decisions.md), most of which are clear.
_DIRECTION_SIGMA_DEG = 8.0
# What a tilt of a degree or two, which nobody knows, does to distances, beside what the altitude leaves open.
_TILT_SHARE = 0.01
# A camera whose mounting is told has one of two headings at a place, give or take what a camera held along the ground
# track swings by (4 degrees), what is known of its mounting and what a pair of matches tells. Pairs that say otherwise
# are less likely by so many log odds, as if one mounting in thirty were told wrongly: a camera that has turned is found
# all the same.
_HELD_DEG, _HELD_OTHERWISE = 15.0, 5.0
_LIKELIEST_PAIRS = 2000  # a clear frame has so many right ones
# Of two matches the one is looked at with the other when their ranks by likelihood, multiplied, are at most this: the
# likeliest with every other, the 1,400 likeliest with one another (docs/decisions.md).
_RANKS = 2_000_000
_PART = 400_000  # pairs looked at together, some ten megabytes wherever their landmarks lie


@dataclass(frozen=True)
class Candidate:
    """A place and heading worth a look: unit vector of the camera's aim (the nadir point where it looks straight down),
    azimuth of image up there in degrees, distinct spots that voted for it."""

    unit: tuple[float, float, float]
    heading_deg: float
    votes: int


def vote(
    matches: Matches,
    log_odds: NDArray[np.float32],
    view: View,
    catalogue: Catalogue,
    known: PoseKnowledge,
    search: Search,
) -> list[Candidate]:
    """The likeliest ``search.candidates``, likeliest first, no two within ``search.bin_m`` of one another.

    matches: likeliest first; log_odds (K,): of each being right, but for a constant; known: the altitude tells the
    frame's scale on the ground, a mounting the headings. A candidate is as likely as the likeliest pair that proposes
    it.
    """
    scale_share = _TILT_SHARE + known.altitude_sigma_m / known.altitude_m
    first, second, heading_deg, likely = _pairs(matches, log_odds, view, catalogue, scale_share)
    order = np.argsort(-likely, kind="stable")[:_LIKELIEST_PAIRS]
    ahead, heading_deg = matches[first[order]], heading_deg[order]
    nadir = proposed_nadir(ahead, view, catalogue, heading_deg).astype(np.float64)
    at_nadir = nadir_heading_deg(ahead, view, catalogue, heading_deg)
    if known.headings is not None:
        held = likely[order] - _HELD_OTHERWISE * (known.headings.off_deg(at_nadir, nadir) > _HELD_DEG)
        again = np.argsort(-held, kind="stable")
        order, ahead, nadir, at_nadir = order[again], ahead[again], nadir[again], at_nadir[again]
    near = np.cos(search.bin_m / EARTH_RADIUS_M)
    spots = view.spot[np.stack([ahead.feature, matches.feature[second[order]]])]
    candidates = []
    for number in _apart(nadir, near, search.candidates):
        votes = len(np.unique(spots[:, nadir @ nadir[number] > near]))
        candidates.append(Candidate(tuple(nadir[number].tolist()), float(at_nadir[number]), votes))
    return candidates


def _pairs(
    matches: Matches, log_odds: NDArray[np.float32], view: View, catalogue: Catalogue, scale_share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Pairs of matches (likeliest first) that one pose explains: numbers of the first and second (P,), the frame's
    heading relative to north at the first's landmark (P,), and their log odds (P,)."""
    local_deg = local_heading_deg(matches, view, catalogue)
    up, place_m = catalogue.unit[matches.landmark], view.ground_m[matches.feature]

    def agreeing(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[NDArray, ...]:
        way = (place_m[second] - place_m[first]).astype(np.float32)
        frame_m, chord = np.hypot(*way.T), np.linalg.norm(up[first] - up[second], axis=1)
        ground_m = EARTH_RADIUS_M * chord * (1 + chord**2 / 24)  # the arc, to a metre
        off_m = np.abs(ground_m - frame_m)
        fits = (frame_m > BASE_PX * view.gsd_m) & (off_m < TOLERANCE_PX * view.gsd_m + scale_share * frame_m)
        first, second, way = first[fits], second[fits], way[fits]
        bearing = np.degrees(np.arctan2(way[:, 0], -way[:, 1]))
        heading = (way_azimuth_deg(up[first], up[second]) - bearing) % 360
        at_second = (way_azimuth_deg(up[second], up[first]) + 180 - bearing) % 360
        turns = np.stack([_turn(local_deg[first] - heading), _turn(local_deg[second] - at_second)])
        likely = log_odds[first] + log_odds[second] - (turns**2).sum(axis=0) / (2 * _DIRECTION_SIGMA_DEG**2)
        agree = (np.abs(turns) < MAX_KEYPOINT_TURN_DEG).all(axis=0)
        return first[agree], second[agree], heading[agree], likely[agree]

    nadir_deg = nadir_heading_deg(matches, view, catalogue, local_deg)
    none = np.empty(0, np.int64)
    found = [agreeing(none, none), *(agreeing(*near) for near in _near_pairs(nadir_deg, up, view))]
    first, second, heading, likely = (np.concatenate(parts) for parts in zip(*found))
    return first, second, heading, likely


def _near_pairs(
    heading_deg: NDArray[np.float32], up: NDArray[np.float32], view: View
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of matches (P,), (P,), likely enough together, whose landmarks, unit vectors (K, 3), can lie in one view
    and whose headings (K,) can be one; part by part, for where all landmarks are near one another they are millions."""
    least = np.float32(np.cos(min(2.05 * float(view.way_rad.max(initial=0.0)), np.pi)))
    start, reach = 0, len(up)
    while start < reach:
        stop = min(start + 1 + _PART // reach, reach)
        near = up[start:stop] @ up[start:reach].T > least
        # Looked for flat: in two dimensions it takes ten times as long.
        first, second = np.divmod(np.flatnonzero(near), near.shape[1])
        first, second = start + first, start + second
        chosen = (second > first) & ((first + 1) * (second + 1) <= _RANKS)
        chosen &= np.abs(_turn(heading_deg[first] - heading_deg[second])) < 2 * MAX_KEYPOINT_TURN_DEG
        yield first[chosen], second[chosen]
        start, reach = stop, min(reach, _RANKS // (stop + 1))


def _turn(degrees: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same turns, in -180 to 180."""
    return (degrees + 180) % 360 - 180


def _apart(unit: Array, near: float, top: int) -> list[int]:
    """The first ``top`` of the places (N, 3) whose cosine to all before them is less than ``near``."""
    free = np.ones(len(unit), bool)
    kept: list[int] = []
    while len(kept) < top and free.any():
        kept.append(int(free.argmax()))
        free &= unit @ unit[kept[-1]] < near
    return kept
