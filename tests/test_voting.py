"""Pairs of matches that one pose explains, on places that are known, and what look-ups say of a match."""

from dataclasses import replace

import numpy as np
import pytest

from index_builder.commonness import apart
from index_builder.quantization import quantize
from onboard import proposals, voting
from onboard.fix import Prior
from onboard.geodesy import EARTH_RADIUS_M, unit_from_latlon
from onboard.headings import Headings
from onboard.landmark_grid import LandmarkGrid
from onboard.landmarks import Catalogue, local_index, search_index
from onboard.matches import Matches, View
from onboard.pose import PoseKnowledge
from onboard.proposals import in_reach, nearest_landmarks
from onboard.search import Search
from onboard.voting import Candidate, vote
from tests.landmark_worlds import catalogue_of, landmarks_at, view_with

# Place, heading, matches, and how far from where they should be their landmarks lie.
RIGHT = (47.0, 179.9, 350.0, 2, 0.0)
DECOYS = [(47.0, -170.0, 350.0, 7, 40e3), (-30.0, 20.0, 5.0, 8, 40e3), (81.0, 20.0, 120.0, 9, 40e3)]
FAR_APART = (0, 1)  # features, 250 km from one another


def world(rng: np.random.Generator, scale: float = 1.0) -> tuple[View, Catalogue, Matches]:
    """A view of 60 features that shows the ground ``scale`` times too large, a catalogue of what they see at the places
    above, and their matches."""
    count = 60
    ground = rng.uniform(-150e3, 150e3, (count, 2))
    ground[list(FAR_APART)] = [(-100e3, -75e3), (100e3, 75e3)]
    angle = rng.uniform(0, 360, count)
    places, feature = [], []
    for lat, lon, heading, votes, off_m in [*DECOYS, RIGHT]:
        chosen = rng.permutation(np.arange(2, count))[:votes] if off_m else np.array(FAR_APART)
        lies = ground[chosen] + rng.uniform(-off_m, off_m, (votes, 2))
        places.append(landmarks_at(lies, angle[chosen], lat, lon, heading))
        feature.append(chosen)
    landmarks = sum(map(len, feature))
    descriptors = rng.random((landmarks, 8)).astype(np.float32)
    quantized = quantize((descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)).astype(np.float16), 4, 1, 0)
    catalogue = catalogue_of(*(np.concatenate(parts) for parts in zip(*places, strict=True)), quantized)
    matches = Matches(np.concatenate(feature)[quantized.order], np.arange(landmarks))
    return view_with(ground * scale, angle, np.zeros((count, 8), np.float32)), catalogue, matches


def off_m(candidate: Candidate, lat: float, lon: float) -> float:
    return float(np.linalg.norm(np.array(candidate.unit) - unit_from_latlon(lat, lon)) * EARTH_RADIUS_M)


def voted(
    view: View,
    catalogue: Catalogue,
    matches: Matches,
    right: float,
    scale_sigma: float,
    headings: Headings | None = None,
) -> list[Candidate]:
    """Candidates when the matches of the right place have log odds ``right`` and the others 0."""
    there = catalogue.unit[matches.landmark] @ unit_from_latlon(*RIGHT[:2]).astype(np.float32) > 0.999
    log_odds = np.where(there, right, 0.0).astype(np.float32)
    likeliest = np.argsort(-log_odds, kind="stable")
    known = PoseKnowledge(405e3, scale_sigma * 405e3, 0.02, headings=headings)
    return vote(matches[likeliest], log_odds[likeliest], view, catalogue, known, Search(bin_m=25e3, candidates=20))


def test_two_matches_that_hold_their_distance_propose_a_place(rng: np.random.Generator) -> None:
    best, *others = voted(*world(rng), right=1.0, scale_sigma=0.0)
    assert off_m(best, *RIGHT[:2]) < 5e3 and best.votes == 2
    assert abs((best.heading_deg - RIGHT[2] + 180) % 360 - 180) < 2
    assert len(others) < 12, "of the hundred pairs of decoys nearly none hold their distances"


def test_likelier_matches_come_first(rng: np.random.Generator) -> None:
    candidates = voted(*world(rng), right=-50.0, scale_sigma=0.0)
    assert len(candidates) > 1, "some decoys agree by chance"
    assert off_m(candidates[-1], *RIGHT[:2]) < 5e3


@pytest.mark.parametrize("mount_deg, ahead", [(350.0, True), (260.0, False)])
def test_places_that_fit_a_told_mounting_come_first_and_none_is_lost(
    mount_deg: float, ahead: bool, rng: np.random.Generator
) -> None:
    """Over the poles, so that the camera's heading is that of its mounting, or half a turn more, everywhere."""
    here = world(rng)
    untold = voted(*here, right=-1.0, scale_sigma=0.0)
    told = voted(*here, right=-1.0, scale_sigma=0.0, headings=Headings(mount_deg, (90.0, 90.0)))
    assert {one.unit for one in told} == {one.unit for one in untold} and len(told) > 3
    fits = [abs((one.heading_deg - mount_deg + 90) % 180 - 90) < 15 for one in told]
    assert any(fits) == ahead and fits == sorted(fits, reverse=True)
    before, after = ([off_m(one, *RIGHT[:2]) < 5e3 for one in candidates].index(True) for candidates in (untold, told))
    assert after < before if ahead else after == before, (before, after)


@pytest.mark.parametrize("scale_sigma, found", [(0.0, False), (0.03, True)])
def test_scale_is_held_as_well_as_the_altitude_tells_it(
    scale_sigma: float, found: bool, rng: np.random.Generator
) -> None:
    candidates = voted(*world(rng, scale=1.035), right=0.0, scale_sigma=scale_sigma)
    assert any(off_m(candidate, *RIGHT[:2]) < 10e3 for candidate in candidates) == found


@pytest.mark.parametrize("ranks, found", [(26 * 25, True), (26 * 25 - 1, False)])
def test_two_unlikely_matches_are_not_looked_at_together(
    ranks: int, found: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right ones are the 25th and the last."""
    monkeypatch.setattr(voting, "_RANKS", ranks)
    candidates = voted(*world(rng), right=-50.0, scale_sigma=0.0)
    assert any(off_m(candidate, *RIGHT[:2]) < 5e3 for candidate in candidates) == found


def test_pairs_are_those_that_ranks_places_and_headings_allow(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voting, "_RANKS", 3000)
    monkeypatch.setattr(voting, "_PART", 2000)
    view, _, _ = world(rng)
    count = 400
    up = unit_from_latlon(rng.uniform(44, 50, count), rng.uniform(177, 183, count)).astype(np.float32)
    heading_deg = rng.uniform(0, 360, count).astype(np.float32)
    found = {pair for first, second in voting._near_pairs(heading_deg, up, view) for pair in zip(first, second)}
    first, second = np.triu_indices(count, 1)
    turn = np.abs((heading_deg[first] - heading_deg[second] + 180) % 360 - 180)
    near = (up[first] * up[second]).sum(axis=1) > np.float32(np.cos(2.05 * view.way_rad.max()))
    allowed = near & (turn < 2 * voting.MAX_KEYPOINT_TURN_DEG) & ((first + 1) * (second + 1) <= 3000)
    assert found == set(zip(first[allowed], second[allowed])) and 100 < len(found) < near.sum()


def looked_up(rng: np.random.Generator) -> tuple[View, Catalogue, np.ndarray]:
    """A view of ten features, a catalogue with the landmark of each among 500 others all over the Earth, numbers of
    theirs."""
    descriptors = rng.standard_normal((510, 32)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    quantized = quantize(descriptors.astype(np.float16), 16, 4, 0)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 510))), rng.uniform(-180, 180, 510)
    lat[:10], lon[:10] = rng.uniform(44.5, 45.5, 10), rng.uniform(9, 10, 10)
    catalogue = catalogue_of(lat, lon, np.zeros(510), quantized)
    view = view_with(rng.uniform(-1e5, 1e5, (10, 2)), np.zeros(10), descriptors[:10])
    return view, catalogue, np.argsort(quantized.order)[:10]


def test_the_likeliest_matches_vote(rng: np.random.Generator) -> None:
    view, catalogue, own = looked_up(rng)
    matches, log_odds = nearest_landmarks(search_index(catalogue, 4), catalogue, Search(matches=10), view, None)
    assert len(matches) == 10 and (np.diff(log_odds) <= 0).all()
    np.testing.assert_array_equal(matches.landmark[np.argsort(matches.feature)], own)


def test_a_match_is_likelier_where_the_direction_is(rng: np.random.Generator) -> None:
    view, catalogue, _ = looked_up(rng)
    log_share = np.linspace(-3, -0.5, 10).astype(np.float32)
    surer = replace(view, features=replace(view.features, turned_log_share=log_share))
    index, search = search_index(catalogue, 4), Search(neighbours=5, matches=50)
    (before, before_odds), (after, odds) = (
        nearest_landmarks(index, catalogue, search, either, None) for either in (view, surer)
    )
    assert (np.diff(odds) <= 0).all()
    more = odds[np.argsort(after.keys())] - before_odds[np.argsort(before.keys())]
    assert (np.diff(more.reshape(10, 5).mean(axis=1)) > 0).all(), "keys are in the order of features"
    np.testing.assert_allclose(more.reshape(10, 5), more.reshape(10, 5)[:, :1].repeat(5, axis=1), atol=1e-5)


@pytest.mark.parametrize("local", [True, False])
def test_a_prior_leaves_what_it_allows_and_nothing_that_is_none(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, local: bool
) -> None:
    view, catalogue, own = looked_up(rng)
    monkeypatch.setattr(proposals, "_LOCAL", 510 if local else 0)
    # More neighbours than there are: faiss says -1.
    index, grid, search = search_index(catalogue, 4), LandmarkGrid(catalogue), Search(neighbours=600, matches=6000)
    everything, log_odds = nearest_landmarks(index, catalogue, search, view, None)
    assert len(everything) == 10 * 510 and (everything.landmark >= 0).all() and np.isfinite(log_odds).all()
    reach = in_reach(grid, search, view, Prior(45.0, 9.5, 20e3))
    near, _ = nearest_landmarks(index, catalogue, search, view, reach)
    assert set(own) <= set(near.landmark) <= set(reach) and len(reach) < 30
    assert in_reach(grid, search, view, Prior(45.0, 9.5, 1e300)) is None, "any landmark may be in view"
    nothing, _ = nearest_landmarks(index, catalogue, search, view, reach[:0])
    few, log_odds = nearest_landmarks(index, catalogue, search, view, reach[:3])
    assert len(nothing) == 0 and len(few) == 30 and np.isfinite(log_odds).all()


def test_a_local_look_up_finds_what_is_nearest_by_the_codes(rng: np.random.Generator) -> None:
    view, catalogue, _ = looked_up(rng)
    some = np.sort(rng.permutation(510)[:200])
    squares, places = local_index(catalogue, some).search(view.features.descriptors, 3)
    exact = ((view.features.descriptors[:, None] - catalogue.decode(some)) ** 2).sum(axis=2)
    np.testing.assert_allclose(squares, np.take_along_axis(exact, places, axis=1), atol=0.05)  # of 8-bit tables
    assert (exact.argmin(axis=1)[:, None] == places).any(axis=1).all()


def test_what_many_look_like_is_told(rng: np.random.Generator) -> None:
    """Sixty landmarks that are nearly one, of six hundred."""
    descriptors = rng.standard_normal((600, 32))
    descriptors[100:160] = descriptors[0] + 0.1 * rng.standard_normal((60, 32))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    square = apart(descriptors.astype(np.float16), 4)
    assert set(np.argsort(square)[:61]) == {0, *range(100, 160)}
