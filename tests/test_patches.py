"""Oriented patches and describers."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from onboard import PackError
from onboard.describer import PatchNetwork, RootSift
from onboard.features import detect
from onboard.patch_model import normalised
from onboard.patches import PATCH_PX, patches_at
from onboard.picture import Picture, equalised


@pytest.fixture
def picture() -> np.ndarray:
    rng = np.random.default_rng(5)
    return cv2.GaussianBlur(rng.integers(0, 255, (256, 256)).astype(np.uint8), (0, 0), 2.5)


def test_a_patch_turns_with_its_keypoint(picture: np.ndarray) -> None:
    xy, angle = np.array([[100.0, 140.0], [60.5, 90.25]], np.float32), np.array([30.0, 200.0], np.float32)
    upright = patches_at(picture, xy, angle)
    # A quarter turn clockwise takes (x, y) to (H - 1 - y, x) and adds 90 degrees to every direction.
    turned = patches_at(
        np.ascontiguousarray(np.rot90(picture, -1)), np.column_stack([255 - xy[:, 1], xy[:, 0]]), angle + 90
    )
    assert upright.shape == (2, PATCH_PX, PATCH_PX)
    assert np.abs(upright.astype(int) - turned).max() <= 3


def test_a_patch_at_angle_zero_is_the_picture(picture: np.ndarray) -> None:
    xy = np.array([[99.5, 149.5]], np.float32)  # between pixels, as the middle of an even patch
    patch = patches_at(picture, xy, np.zeros(1, np.float32))[0]
    np.testing.assert_array_equal(patch, picture[134:166, 84:116])


def test_light_and_haze_do_not_matter(picture: np.ndarray) -> None:
    patch = picture[None, :32, :32]
    darker = (patch * 0.6 + 20).astype(np.uint8)
    a, b = normalised(patch), normalised(darker)
    assert a.shape == (1, 1, 32, 32) and abs(float(a.mean())) < 1e-3
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.99
    assert np.abs(normalised(np.full((1, 32, 32), 77, np.uint8))).max() == 0


def test_root_sift_is_of_unit_length(picture: np.ndarray) -> None:
    seen = Picture(picture, equalised(picture), np.ones(picture.shape, bool))
    keypoints = detect(seen, 50)
    assert all(a.response >= b.response for a, b in itertools.pairwise(keypoints))
    xy = np.array([point.pt for point in keypoints], np.float32)
    angle_deg, scale_px = np.array([(point.angle, point.size) for point in keypoints], np.float32).T
    descriptors = RootSift().describe(seen, xy, angle_deg, scale_px)
    assert descriptors.shape == (len(keypoints), 128)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=1e-5)


def test_a_file_that_is_no_descriptor_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(PackError, match=r"x\.onnx: not a network"):
        PatchNetwork(tmp_path / "x.onnx")
