"""The table of a view's features: no pair within reach is missed, wherever the strips and sectors are cut."""

import numpy as np
import pytest

from onboard.camera import Camera
from onboard.feature_table import FeatureTable
from onboard.features import Features
from onboard.ground_plane import GroundPlane
from onboard.matches import View, view_of
from onboard.picture import Picture
from onboard.rectify import Rectified

REACH_M, TURN_DEG = 37_200.0, 25.0


def scattered_view(rng: np.random.Generator, count: int) -> View:
    ones = np.ones(count, np.float32)
    angle_deg = rng.choice([0.0, 5.0, 10.0, 355.0, 359.99], count) + rng.uniform(0, 0.01, count)
    mask = np.ones((300, 400), bool)
    xy = rng.uniform((0, 0), mask.shape[::-1], (count, 2)).astype(np.float32)
    features = Features(xy, angle_deg.astype(np.float32) % 360, 0 * ones, ones, ones, ones[:, None])
    grey = np.zeros(mask.shape, np.uint8)
    rectified = Rectified(np.stack([grey] * 3, axis=-1), mask, 1000.0, (200.0, 150.0), GroundPlane(400e3))
    camera = Camera(400, 300, 400.0, 400.0, 199.5, 149.5)
    return view_of(features, Picture(grey, grey, mask), rectified, camera)


@pytest.mark.parametrize("seed", range(3))
def test_every_pair_within_reach_is_found_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    view = scattered_view(rng, 300)
    offsets = rng.uniform((-237e3, -187e3), (237e3, 187e3), (400, 2))
    offsets[:40] = view.ground_m[:40] + np.array([0.0, REACH_M - 1])  # at the very end of the reach
    offsets[40:80] = view.ground_m[40:80] - np.array([REACH_M - 1, 0.0])
    low, high = view.ground_m.min(axis=0) - REACH_M, view.ground_m.max(axis=0) + REACH_M
    offsets = offsets[((offsets > low) & (offsets < high)).all(axis=1)]
    angle_deg = rng.uniform(0, 360, len(offsets)).astype(np.float32)

    feature, landmark = FeatureTable(view, REACH_M, TURN_DEG).near(offsets, angle_deg)

    apart_m = np.linalg.norm(view.ground_m[:, None] - offsets, axis=2)
    turn_deg = np.abs((view.features.angle_deg[:, None] - angle_deg + 180) % 360 - 180)
    wanted = np.argwhere((apart_m < REACH_M) & (turn_deg < TURN_DEG))
    told = {*zip(feature.tolist(), landmark.tolist())}
    assert len(wanted) > 100 and {*map(tuple, wanted.tolist())} <= told
    assert len(told) == len(feature), "a pair came twice"
    assert (np.diff(landmark) >= 0).all() and len(feature) < 0.1 * len(view) * len(offsets)
