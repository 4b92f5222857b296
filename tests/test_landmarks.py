"""Votes, verification and the catalogue, on constructed sky-high truths."""

from dataclasses import replace

import faiss
import numpy as np
import pytest

from index_builder.quantization import quantize
from index_builder.selection import evenly_spread, rarest_where_plenty
from onboard.acceptance import Acceptance, fit_acceptance
from onboard.describer import RootSift
from onboard.features import extract
from onboard.geodesy import EARTH_RADIUS_M, distance_m, unit_from_latlon
from onboard.landmarks import Catalogue, search_index, to_arrays
from onboard.matches import Matches, View
from onboard.picture import Picture
from onboard.pose import PoseKnowledge
from onboard.search import Search
from onboard.verification import Verifier, best_similarity, distinct
from onboard.voting import vote
from tests.landmark_worlds import BAND, catalogue_of, landmarks_at, view_with


def world(lat: float, lon: float, heading: float, rng: np.random.Generator) -> tuple[View, Catalogue]:
    """A view of 300 features over a place, and a catalogue of them and 3,000 others."""
    count, others = 300, 3000
    ground = rng.uniform(-150e3, 150e3, (count, 2))
    angle = rng.uniform(0, 360, count)
    descriptors = rng.random((count + others, 128)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    far = np.degrees(np.arcsin(rng.uniform(-1, 1, others))), rng.uniform(-180, 180, others), rng.uniform(0, 360, others)
    near = landmarks_at(ground, angle, lat, lon, heading)
    places = [np.concatenate(parts) for parts in zip(near, far, strict=True)]
    quantized = quantize(descriptors.astype(np.float16), 64, 16, 0)
    return view_with(ground, angle, descriptors[:count]), catalogue_of(*places, quantized)


EXACT = PoseKnowledge(405e3, 0.0, 0.02)
PLACES = [(0.0, 0.0, 0.0), (47.0, 179.9, 123.0), (-33.0, -180.0, 300.0), (81.0, 20.0, 45.0), (-82.0, -75.0, 200.0)]


@pytest.mark.parametrize("lat, lon, heading", PLACES)
def test_right_matches_pile_up(lat: float, lon: float, heading: float, rng: np.random.Generator) -> None:
    view, catalogue = world(lat, lon, heading, rng)
    _, numbers = search_index(catalogue, 16).search(view.features.descriptors, 3)
    matches = Matches(np.repeat(np.arange(len(view)), 3), numbers.ravel())
    best, *rest = vote(matches, np.zeros(len(matches), np.float32), view, catalogue, EXACT, Search(candidates=5))
    place = np.array(best.unit)
    assert np.linalg.norm(place - unit_from_latlon(lat, lon)) * EARTH_RADIUS_M < 20e3
    assert abs((best.heading_deg - heading + 180) % 360 - 180) <= 15
    assert best.votes > 60 and all(other.votes < best.votes / 3 for other in rest)

    consensus = Verifier(catalogue, 930.0, 1.35, RootSift.likeness).verify(best, view, np.sort(matches.keys()))
    inliers = consensus.matches[consensus.agree & distinct(consensus.matches, consensus.weight, view)]
    assert len(inliers) > 180
    assert len(np.unique(view.spot[inliers.feature])) == len(inliers) == len(np.unique(inliers.landmark))
    found_lat, found_lon = catalogue.lat_deg[inliers.landmark], catalogue.lon_deg[inliers.landmark]
    expected = np.hypot(*view.ground_m[inliers.feature].T)
    np.testing.assert_allclose(distance_m(lat, lon, found_lat, found_lon), expected, atol=2e3)


def test_a_clump_proposes_nothing(rng: np.random.Generator) -> None:
    view, catalogue = world(10.0, 20.0, 0.0, rng)
    one = Matches(np.zeros(50, np.int64), np.arange(50))
    assert vote(one, np.zeros(50, np.float32), view, catalogue, EXACT, Search(candidates=5)) == []


def test_votes_of_no_matches(rng: np.random.Generator) -> None:
    view, catalogue = world(10.0, 20.0, 0.0, rng)
    none = Matches(np.empty(0, np.int64), np.empty(0, np.int64))
    assert vote(none, np.empty(0, np.float32), view, catalogue, EXACT, Search(candidates=5)) == []


def test_similarity_holds_to_its_constraints(rng: np.random.Generator) -> None:
    frame = rng.uniform(-1e5, 1e5, 60) + 1j * rng.uniform(-1e5, 1e5, 60)
    noise = rng.normal(0, 500, 60) + 1j * rng.normal(0, 500, 60)
    for scale, turn, holds in [(1.05, 10, True), (1.0, -12, True), (1.12, 0, False), (1.0, 20, False)]:
        place = scale * np.exp(1j * np.radians(turn)) * frame + 8e3 - 5e3j + noise
        place[:20] = rng.uniform(-1e5, 1e5, 20) + 1j * rng.uniform(-1e5, 1e5, 20)
        assert (best_similarity(frame, place, np.ones(60), 4e3, 3e4)[20:].sum() >= 38) == holds


def test_places_are_stored_to_their_stated_error(rng: np.random.Generator) -> None:
    lat, lon = rng.uniform(-56, 56, 5000), rng.uniform(-180, 180, 5000)
    lon[:4] = [-180, 180, 179.999, -179.999]
    quantized = quantize(rng.random((5000, 128)).astype(np.float16), 64, 16, 0)
    arrays = to_arrays(lat, lon, np.full(5000, 359.9), np.full(5000, 2.5), (-56, 56))
    codes = {name: getattr(quantized, name) for name in ("codes", "list_sizes", "coarse", "codebook")}
    catalogue = Catalogue.from_arrays({**arrays, **codes}, (-56, 56))
    floats = (catalogue.lat_deg, catalogue.lon_deg, catalogue.angle_deg, catalogue.scale_px, catalogue.unit)
    assert all(array.dtype == np.float32 for array in floats), "millions of each: nothing wider than it need be"
    assert np.abs(catalogue.lat_deg - lat).max() * 111.3e3 < 96
    assert (np.abs((catalogue.lon_deg - lon + 180) % 360 - 180)).max() * 111.4e3 < 308
    assert np.abs(catalogue.scale_px / 2.5 - 1).max() < 0.03
    assert np.abs((catalogue.angle_deg - 359.9 + 180) % 360 - 180).max() < 0.75


def test_codes_decode_as_faiss_does(rng: np.random.Generator) -> None:
    descriptors = rng.random((3000, 128)).astype(np.float16)
    quantized = quantize(descriptors, 64, 16, 0)
    arrays = to_arrays(np.zeros(3000), np.zeros(3000), np.zeros(3000), np.full(3000, 2.0), BAND)
    codes = {name: getattr(quantized, name) for name in ("codes", "list_sizes", "coarse", "codebook")}
    catalogue = Catalogue.from_arrays({**arrays, **codes}, BAND)
    reference = faiss.ProductQuantizer(128, 64, 4)
    faiss.copy_array_to_vector(catalogue.codebook.ravel(), reference.centroids)
    np.testing.assert_allclose(catalogue.decode(np.arange(3000)), reference.decode(catalogue.codes))
    error = np.linalg.norm(catalogue.decode(np.arange(3000)) - descriptors[quantized.order], axis=1)
    assert np.median(error) < 0.35 * np.median(np.linalg.norm(descriptors, axis=1))


def test_landmarks_are_evenly_spread(rng: np.random.Generator) -> None:
    """Ten times denser in the west: the selection is not."""
    lon = np.concatenate([rng.uniform(0, 10, 20000), rng.uniform(10, 20, 2000)])
    lat, response = rng.uniform(0, 10, 22000), rng.random(22000)
    chosen = evenly_spread(lat, lon, response, 1500)
    assert len(chosen) == 1500 and len(np.unique(chosen)) == 1500
    west = (lon[chosen] < 10).mean()
    assert 0.45 < west < 0.65
    assert response[chosen][lon[chosen] < 10].mean() > 0.8


def test_a_coast_keeps_what_nothing_replaces(rng: np.random.Generator) -> None:
    """Twenty landmarks alone, commoner than all, and two thousand inland of which a quarter is nearly as common."""
    lat = np.concatenate([rng.uniform(10.0, 10.2, 20), rng.uniform(40.0, 41.0, 2000)])
    lon = np.concatenate([rng.uniform(20.0, 20.2, 20), rng.uniform(60.0, 61.5, 2000)])
    rarity = np.concatenate([np.full(20, 0.1), np.where(np.arange(2000) < 500, 0.2, 1.0)])
    kept = rarest_where_plenty(lat, lon, rarity, 1520)
    assert len(kept) == 1520 and (np.diff(kept) > 0).all()
    assert (kept[:20] == np.arange(20)).all() and (kept[20:] >= 520).all()


def test_features_turn_with_the_picture(rng: np.random.Generator) -> None:
    """Angles count clockwise as seen: a picture turned clockwise by 90 degrees adds 90."""
    import cv2

    picture = cv2.GaussianBlur(rng.integers(0, 255, (256, 256, 3)).astype(np.uint8), (0, 0), 3)
    picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
    mask = np.ones((256, 256), bool)
    upright, turned = (
        extract(Picture.of(picture, mask), RootSift(), None, 300),
        extract(Picture.of(np.ascontiguousarray(np.rot90(picture, -1)), mask), RootSift(), None, 300),
    )
    moved = np.column_stack([255 - upright.xy[:, 1], upright.xy[:, 0]])
    apart = np.linalg.norm(moved[:, None] - turned.xy[None], axis=2)
    # A spot may carry several keypoints of different orientation: the nearest counts.
    turn = np.abs((turned.angle_deg[None] - upright.angle_deg[:, None]) % 360 - 90)
    closest = np.where(apart < 0.5, turn, 999).min(axis=1)
    paired = closest < 999
    assert paired.sum() > 100 and (closest[paired] < 5).mean() > 0.8


def test_acceptance_promises_no_more_than_was_seen() -> None:
    """Maxima are Gumbel: their tail is foretold from 500 of them, seldom much too low."""
    rng = np.random.default_rng(1)
    scores = rng.gumbel(5.0, 0.7, 200_000)
    ratios = []
    for sample in scores.reshape(-1, 500)[:100]:
        fitted = fit_acceptance(sample, 1e-3)
        ratios.append((scores >= fitted.least_score).mean() / 1e-3)
    assert 0.3 < np.median(ratios) < 1.5 and np.mean(np.array(ratios) > 4.0) < 0.02
    assert fitted.accepts(fitted.least_score + 1e-6) and not fitted.accepts(fitted.least_score - 1e-6)
    assert Acceptance.from_plain(fitted.to_plain()) == fitted
    assert not fitted.nothing
    assert Acceptance.none(1e-4).nothing and not Acceptance.none(1e-4).accepts(1000)


def test_acceptance_where_most_frames_score_nothing() -> None:
    """One frame in nine scores: the 90th percentile lies before the bulk of these scores, where no tail begins."""
    rng = np.random.default_rng(2)
    scores = np.where(rng.random(240_000) < 0.11, rng.gumbel(7.0, 1.5, 240_000).clip(1), 0.0)
    fits = [fit_acceptance(sample, 1e-4) for sample in scores.reshape(-1, 600)[:100]]
    ratios = np.array([(scores >= fitted.least_score).mean() / 1e-4 for fitted in fits])
    # 7 where the bulk is; 17.5 is what one frame in 10,000 reaches.
    assert min(fitted.anchor for fitted in fits) > 6
    assert np.median(ratios) < 0.5 and np.mean(ratios > 5.0) < 0.05
    assert 17.5 < np.median([fitted.least_score for fitted in fits]) < 22


def test_keypoints_lie_where_the_blobs_are(rng: np.random.Generator) -> None:
    """No bias of a fraction of a pixel: on a map of 7 km a pixel a quarter of one is 2 km."""
    y, x = np.mgrid[:300, :300]
    centres = np.array([[30 + 45 * i, 30 + 45 * j] for i in range(6) for j in range(6)]) + rng.uniform(-5, 5, (36, 2))
    picture = np.full((300, 300), 60.0)
    for (at_x, at_y), sigma in zip(centres, rng.uniform(2, 4, 36)):
        picture += 90 * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * sigma**2))
    rgb = np.repeat(picture.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    off = extract(Picture.of(rgb, np.ones((300, 300), bool)), RootSift(), None).xy[:, None] - centres[None]
    nearest = np.linalg.norm(off, axis=2).argmin(axis=1)
    off = off[np.arange(len(off)), nearest]
    off = off[np.linalg.norm(off, axis=1) < 1.5]
    assert len(off) >= 36 and np.abs(np.median(off, axis=0)).max() < 0.08


def test_a_score_and_its_chance_are_each_other_s_inverse() -> None:
    acceptance = Acceptance(anchor=8.0, share=0.1, decay=1.3, exceedances=60, limit=1e-4)
    for chance in (0.1, 1e-3, 1e-6):
        assert acceptance.false_fix_probability(acceptance.score_of(chance)) == pytest.approx(chance)
    assert acceptance.score_of(acceptance.limit) == acceptance.least_score
    lenient = replace(acceptance, limit=2 * acceptance.share)
    assert lenient.least_score == lenient.anchor, "of scores before the tail the model says nothing"
