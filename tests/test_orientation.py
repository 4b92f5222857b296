"""Directions of keypoints: peaks of histograms, the network that makes them, features turned by it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")

from onboard import PackError
from onboard.describer import RootSift
from onboard.features import detect, extract
from onboard.known_answer import known_patches
from onboard.orientation import BIN_DEG, BINS, OrientationNetwork, orientation_of, peaks
from onboard.pack import Pack
from onboard.picture import Picture, equalised
from tests.networks import write_network, write_orientation_network


@pytest.fixture
def network(tmp_path: Path) -> OrientationNetwork:
    return OrientationNetwork(write_orientation_network(tmp_path / "orientation.onnx"))


@pytest.fixture(scope="module")
def picture() -> Picture:
    noise = np.random.default_rng(5).integers(0, 255, (256, 256)).astype(np.uint8)
    grey = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return Picture(grey, equalised(grey), np.ones(grey.shape, bool))


def bumps(*of: tuple[float, float]) -> np.ndarray:
    """A histogram with bumps of log likelihood at angles."""
    angle = np.arange(BINS) * BIN_DEG
    parts = [height - ((angle - at + 180) % 360 - 180) ** 2 / 800 for at, height in of]
    return np.max(parts, axis=0).astype(np.float32)


def test_peaks_lie_between_bins_and_close_to_a_circle() -> None:
    histograms = np.stack([bumps((at, 0.0)) for at in (0.0, 3.0, 123.0, 358.0)])
    keypoint, angle_deg, _ = peaks(histograms, 1)
    assert keypoint.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose((angle_deg - [0, 3, 123, 358] + 180) % 360 - 180, 0, atol=0.05)


def test_a_second_direction_is_taken_where_it_is_likely() -> None:
    histograms = np.stack([bumps((40, 0), (200, -0.3)), bumps((40, 0), (200, -3)), bumps((40, -0.3), (200, 0))])
    keypoint, angle_deg, log_share = peaks(histograms, 2)
    assert keypoint.tolist() == [0, 0, 1, 2, 2]
    np.testing.assert_allclose(angle_deg, [40, 200, 40, 200, 40], atol=0.05)  # likeliest first
    assert (log_share < 0).all() and log_share[0] - log_share[1] == pytest.approx(0.3, abs=0.02)
    assert log_share[2] > log_share[0] + 0.4  # the one direction of its keypoint
    assert peaks(histograms, 1)[0].tolist() == [0, 1, 2]
    assert peaks(np.zeros((3, BINS), np.float32), 2)[0].tolist() == [0, 1, 2]  # flat: nothing to choose, but a choice
    assert peaks(np.empty((0, BINS), np.float32), 2)[0].shape == (0,)


def test_directions_turn_with_the_picture(network: OrientationNetwork, picture: Picture) -> None:
    xy = np.random.default_rng(0).uniform(40, 215, (200, 2)).astype(np.float32)
    keypoint, upright, log_share = network.directions(picture.grey, xy, 1)
    turned_picture = np.ascontiguousarray(np.rot90(picture.grey, -1))
    _, turned, likewise = network.directions(turned_picture, np.column_stack([255 - xy[:, 1], xy[:, 0]]), 1)
    assert keypoint.tolist() == list(range(200))
    off = (turned - upright - 90 + 180) % 360 - 180
    assert np.abs(off).max() < 2 and np.ptp(upright) > 300
    np.testing.assert_allclose(log_share, likewise, atol=0.05)


def test_features_are_turned_by_the_network_once_a_place(network: OrientationNetwork, picture: Picture) -> None:
    places = {point.pt for point in detect(picture)}
    assert len(places) < len(detect(picture))  # SIFT turns some two ways
    features = extract(picture, RootSift(), network)
    assert len(features) == len(places) and set(map(tuple, features.xy.tolist())) == places
    assert (np.diff(features.response) <= 0).all()
    _, angle_deg, log_share = network.directions(picture.grey, features.xy, 1)
    np.testing.assert_array_equal(features.angle_deg, angle_deg)
    np.testing.assert_array_equal(features.turned_log_share, log_share)
    again = RootSift().describe(picture, features.xy, features.angle_deg, features.scale_px)
    np.testing.assert_allclose(features.descriptors, again, atol=1e-6)
    by_sift = extract(picture, RootSift(), None)
    assert len(by_sift) == len(detect(picture)) and not by_sift.turned_log_share.any()
    nothing = Picture(picture.grey, picture.even, np.zeros(picture.grey.shape, bool))
    assert len(extract(nothing, RootSift(), network)) == 0


def test_a_network_of_other_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="tells 16 directions apart, not 36"):
        OrientationNetwork(write_network(tmp_path / "descriptor.onnx"))


def test_a_packs_network_must_give_its_known_answer(network: OrientationNetwork, tmp_path: Path) -> None:
    patches = known_patches()
    for name, array in {"patches": patches, "directions": network.encode(patches)}.items():
        np.save(tmp_path / f"known_answer_{name}.npy", array)
    files = {path.name: memoryview(path.read_bytes()) for path in tmp_path.glob("*.*")}
    pack = Pack(tmp_path, {"orientation_network": "orientation.onnx"}, None, files)  # type: ignore[arg-type]
    found = orientation_of(pack, 1)
    assert found is not None and found.runtime.startswith("ONNX Runtime")
    assert orientation_of(Pack(tmp_path, {}, None, files), 1) is None  # type: ignore[arg-type]
    np.save(tmp_path / "known_answer_directions.npy", np.roll(network.encode(patches), 9, axis=1))
    files["known_answer_directions.npy"] = memoryview((tmp_path / "known_answer_directions.npy").read_bytes())
    with pytest.raises(PackError, match="known patches"):
        orientation_of(pack, 1)
