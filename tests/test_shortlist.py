"""The shortlist, on places that are known: one where votes are exact, others where more of them meet by chance."""

import numpy as np

from index_builder.quantization import quantize
from onboard.geodesy import EARTH_RADIUS_M, unit_from_latlon
from onboard.landmarks import Catalogue
from onboard.matches import Matches, View
from onboard.shortlist import shortlist
from onboard.voting import Candidate, vote
from tests.landmark_worlds import catalogue_of, landmarks_at, view_with

# Place, heading, matches, and how far from where they should be their landmarks lie.
RIGHT = (47.0, 179.9, 350.0, 5, 0.0)
DECOYS = [(47.0, -170.0, 350.0, 7, 15e3), (-30.0, 20.0, 5.0, 8, 15e3), (81.0, 20.0, 120.0, 9, 15e3)]


def world(rng: np.random.Generator) -> tuple[View, Catalogue, Matches]:
    """A view of 60 features, a catalogue of what they see at the places above, and their matches."""
    count = 60
    ground = rng.uniform(-150e3, 150e3, (count, 2))
    angle = rng.uniform(0, 360, count)
    places, feature = [], []
    for lat, lon, heading, matches, off_m in [*DECOYS, RIGHT]:
        chosen = rng.permutation(count)[:matches]
        lies = ground[chosen] + rng.uniform(-off_m, off_m, (matches, 2))
        places.append(landmarks_at(lies, angle[chosen], lat, lon, heading))
        feature.append(chosen)
    landmarks = sum(map(len, feature))
    descriptors = rng.random((landmarks, 8)).astype(np.float32)
    quantized = quantize((descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)).astype(np.float16), 4, 1, 0)
    catalogue = catalogue_of(*(np.concatenate(parts) for parts in zip(*places, strict=True)), quantized)
    matches = Matches(np.concatenate(feature)[quantized.order], np.arange(landmarks))
    return view_with(ground, angle, np.zeros((count, 8), np.float32)), catalogue, matches


def off_m(candidate: Candidate, lat: float, lon: float) -> float:
    return float(np.linalg.norm(np.array(candidate.unit) - unit_from_latlon(lat, lon)) * EARTH_RADIUS_M)


def test_few_votes_that_hold_their_distances_beat_many_that_do_not(rng: np.random.Generator) -> None:
    view, catalogue, matches = world(rng)
    voted = vote(matches, view, catalogue, 25e3, 20)
    assert off_m(voted[0], *RIGHT[:2]) > 1e6 and voted[0].votes > RIGHT[3]
    best, *rest = shortlist(voted, matches, np.ones(len(matches), np.float32), view, catalogue, 3)
    assert off_m(best, *RIGHT[:2]) < 25e3 and len(rest) == 2
    assert best in voted  # a shortlist chooses, it does not move


def test_alike_matches_weigh_more(rng: np.random.Generator) -> None:
    view, catalogue, matches = world(rng)
    voted = vote(matches, view, catalogue, 25e3, 20)
    right = catalogue.unit @ unit_from_latlon(*RIGHT[:2]).astype(np.float32) > 0.99
    unlike = np.where(right[matches.landmark], 0.1, 1.0).astype(np.float32)
    assert off_m(shortlist(voted, matches, unlike, view, catalogue, 1)[0], *RIGHT[:2]) > 1e6


def test_of_nothing_nothing_is_short(rng: np.random.Generator) -> None:
    view, catalogue, matches = world(rng)
    assert shortlist([], matches, np.ones(len(matches), np.float32), view, catalogue, 3) == []
    none = matches[:0]
    voted = vote(matches, view, catalogue, 25e3, 20)
    assert shortlist(voted, none, np.empty(0, np.float32), view, catalogue, 2) == voted[:2]
