"""Cameras: rays and pixels, sizes, files, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from onboard.camera import Camera
from onboard.camera_files import load_camera, save_camera
from onboard.errors import CameraError

PLAIN = Camera(640, 480, 500.0, 505.0, 319.5, 239.5)
MODELS = [
    PLAIN,
    Camera(640, 480, 500, 505, 310, 245, "plumb_bob", (-0.25, 0.08, 1e-3, -5e-4, -0.01)),
    Camera(640, 480, 300, 300, 319.5, 239.5, "equidistant", (0.01, -0.003, 5e-4, 0.0)),
    Camera(640, 480, 500, 505, 310, 245, "rational_polynomial", (0.1, 0.02, 1e-4, 1e-4, 0.0, 0.12, 0.01, 0.0)),
]


@pytest.mark.parametrize("camera", MODELS, ids=lambda camera: camera.model)
def test_rays_and_pixels_are_inverse(camera: Camera) -> None:
    pixels = camera.pixel_grid()[::97]
    rays = camera.rays(pixels)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1.0)
    np.testing.assert_allclose(camera.project(rays * 7.0), pixels, atol=1e-4)


@pytest.mark.parametrize("camera", MODELS, ids=lambda camera: camera.model)
def test_slopes_are_derivatives(camera: Camera) -> None:
    points = camera.rays(camera.pixel_grid()[::4001]) * 3.0
    _, slopes = camera.project_with_slope(points)
    for axis in range(3):
        step = np.eye(3)[axis] * 1e-5
        numeric = (camera.project(points + step) - camera.project(points - step)) / 2e-5
        np.testing.assert_allclose(slopes[:, :, axis], numeric, rtol=1e-5, atol=1e-3)


def test_points_behind_have_no_pixel() -> None:
    assert np.isnan(PLAIN.project([[0, 0, -1.0], [1, 0, 0.0]])).all()


def test_resizing_is_half_pixel_exact() -> None:
    """A ray's pixel in an area-averaged picture is where the averaging put it."""
    picture = np.zeros((480, 640), np.float32)
    picture[100:104, 200:204] = 1.0  # a spot whose centre is (201.5, 101.5)
    small = cv2.resize(picture, (160, 120), interpolation=cv2.INTER_AREA)
    row, column = np.unravel_index(int(small.argmax()), small.shape)
    expected = PLAIN.scaled_to(160, 120).project(PLAIN.rays([[201.5, 101.5]]))[0]
    np.testing.assert_allclose(expected, (column, row), atol=1e-9)


def test_other_aspect_ratios_are_refused() -> None:
    with pytest.raises(CameraError, match="turned by a quarter"):
        Camera(640, 480, 500, 500, 319.5, 239.5).scaled_to(480, 640)
    with pytest.raises(CameraError, match="aspect"):
        PLAIN.scaled_to(640, 400)


def test_a_reduced_mask_shows_only_what_is_wholly_seen() -> None:
    mask = np.ones((480, 640), bool)
    mask[:, :321] = False
    camera = Camera(640, 480, 500, 500, 319.5, 239.5, mask=mask).scaled_to(320, 240)
    assert camera.mask is not None and not camera.mask[:, :161].any() and camera.mask[:, 161:].all()


def test_ros_round_trip(tmp_path: Path) -> None:
    mask = np.zeros((480, 640), bool)
    mask[10:, 5:] = True
    camera = Camera(640, 480, 500, 505, 310, 245, "plumb_bob", (-0.25, 0.08, 1e-3, -5e-4, -0.01), "eye", mask)
    save_camera(camera, tmp_path / "eye.yaml")
    again = load_camera(tmp_path / "eye.yaml")
    assert again.mask is not None and (again.mask == mask).all()
    assert (again.matrix == camera.matrix).all() and again.distortion == camera.distortion


@pytest.mark.parametrize("first_line", ["%YAML 1.2", "%YAML:1.0"])  # of OpenCV 5, and of those before
def test_opencv_file(tmp_path: Path, first_line: str) -> None:
    storage = cv2.FileStorage(str(tmp_path / "c.yaml"), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", PLAIN.matrix)
    storage.write("distortion_coefficients", np.array([[-0.2, 0.05, 0.0, 0.0, 0.0]]))
    storage.release()
    _, content = (tmp_path / "c.yaml").read_text().split("\n", 1)
    (tmp_path / "c.yaml").write_text(f"{first_line}\n{content}")
    camera = load_camera(tmp_path / "c.yaml")
    assert camera.distortion[0] == -0.2 and (camera.matrix == PLAIN.matrix).all()


def test_kalibr_file(tmp_path: Path) -> None:
    text = (
        "cam0:\n  camera_model: pinhole\n  intrinsics: [500, 505, 319.5, 239.5]\n  resolution: [640, 480]\n"
        "  distortion_model: equidistant\n  distortion_coeffs: [0.01, 0.0, 0.0, 0.0]\n"
    )
    (tmp_path / "k.yaml").write_text(text)
    camera = load_camera(tmp_path / "k.yaml")
    assert camera.model == "equidistant" and camera.fy == 505


SIZE, MATRIX = "image_width: 640\nimage_height: 480\n", "camera_matrix: {data: [500,0,320,0,500,240,0,0,1]}\n"
KALIBR = "intrinsics: [500, 500, 320, 240]\nresolution: [640, 480]\n"
OPENCV = "%YAML:1.0\n---\n"
OPENCV_MATRIX = """camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 500., 0., 320., 0., 500., 240., 0., 0., 1. ]
"""


OPENCV_CAMERA = (
    "image_width: 640\nimage_height: 480\n"
    + OPENCV_MATRIX
    + OPENCV_MATRIX.replace("camera_matrix", "distortion_coefficients")
    .replace("rows: 3", "rows: 1")
    .replace("cols: 3", "cols: 4")
    .replace("500., 0., 320., 0., 500., 240., 0., 0., 1.", "-0.1, 0., 0., 0.")
)


@pytest.mark.parametrize("text", [OPENCV_CAMERA, OPENCV + OPENCV_CAMERA + "distortion_model: plumb_bob\n"])
def test_files_of_opencv_with_and_without_their_first_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    camera = load_camera(tmp_path / "c.yaml")
    assert (camera.model, camera.distortion, camera.fx) == ("plumb_bob", (-0.1, 0.0, 0.0, 0.0), 500.0)


@pytest.mark.parametrize(
    "text",
    [
        SIZE + MATRIX,
        "# once an !!opencv-matrix: not any more\n" + SIZE + MATRIX,
        "%YAML 1.2\n---\n" + SIZE + MATRIX,
        SIZE + MATRIX + "distortion_model: ''\n",
        SIZE + MATRIX + "binning_x: 2\nbinning_y: 2\nroi: {x_offset: 0, y_offset: 0, width: 0, height: 0}\n",
        SIZE + MATRIX + "roi: {x_offset: 0, y_offset: 0, width: 640, height: 480, do_rectify: false}\n",
        KALIBR,
        KALIBR + "distortion_model: none\n",
    ],
)
def test_no_distortion_may_be_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    camera = load_camera(tmp_path / "c.yaml")
    assert (camera.model, camera.distortion, camera.cx, camera.cy) == ("plumb_bob", (), 320, 240)


@pytest.mark.parametrize(
    "text, says",
    [
        ("[1, 2]", "mapping"),
        ("a: [", "flow"),
        ("foo: 1", "no ROS CameraInfo"),
        ("camera_matrix: {data: [1,0,0,0,1,0,0,0,1]}", "image_width"),
        ("image_width: 640\nimage_height: 480\ncamera_matrix: {data: [1, 2]}", "camera_matrix: must be 9"),
        (SIZE + "camera_matrix: [500, 0, 320]", "camera_matrix: must be a mapping"),
        (SIZE + "camera_matrix: {data: [500,0,320,0,500,240,0,0,2]}", "fx 0 cx, 0 fy cy, 0 0 1"),
        (SIZE + "camera_matrix: {data: [500,0,320,1,500,240,0,0,1]}", "fx 0 cx, 0 fy cy, 0 0 1"),
        (SIZE + "camera_matrix: {data: [500,0,320,0,.inf,240,0,0,1]}", "camera_matrix: must be 9 finite"),
        (SIZE + MATRIX + "distortion_coefficients: null", "distortion_coefficients: must be a mapping"),
        (
            SIZE + MATRIX + "distortion_model: plumb_bob\ndistortion_coefficients: {data: [0, 0, x, 0]}",
            "distortion_coefficients: must be",
        ),
        (SIZE + MATRIX + "mask: [1]", "mask: must be a file's name"),
        ("image_width: .inf\nimage_height: 480\n" + MATRIX, "image_width and image_height"),
        ("image_width: 640.5\nimage_height: 480\n" + MATRIX, "whole pixels"),
        ("image_width: 1e300\nimage_height: 480\n" + MATRIX, "whole pixels, 65536 at most"),
        (
            "%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: 2d\n"
            "   data: [ 1., 0., 0. ]\n",
            "matrices are none",
        ),
        ("? [1]\n: 2", "key"),
        ("a: !!python/name:os.system", "python/name"),
        ("[" * 5000 + "]" * 5000, "recursion"),
        (
            "image_width: 640\nimage_height: 480\ndistortion_model: fancy\ndistortion_coefficients: {data: []}\n"
            "camera_matrix: {data: [500,0,320,0,500,240,0,0,1]}",
            "fancy",
        ),
        (
            "image_width: 640\nimage_height: 480\ncamera_matrix: {data: [-5,0,320,0,500,240,0,0,1]}",
            "focal lengths must be positive",
        ),
        (
            "image_width: 640\nimage_height: 480\nmask: gone.png\ncamera_matrix: {data: [500,0,320,0,500,240,0,0,1]}",
            "gone.png",
        ),
        (SIZE + MATRIX.replace("320", "-1"), r"principal point \(-1, 240\) lies outside the picture of 640x480"),
        (SIZE + MATRIX.replace("320", "640"), "principal point .*swapped"),
        (SIZE + MATRIX.replace("240", "480"), "principal point"),
        (KALIBR.replace("240", "700"), "principal point"),
        (
            SIZE + MATRIX + "distortion_model: plumb_bob\ndistortion_coefs: {data: [-0.3]}",
            "'distortion_coefficients' is m",
        ),
        (
            SIZE + MATRIX + "distortion_modl: equidistant\ndistortion_coefficients: {data: [-0.3, 0, 0, 0]}",
            "model: is m",
        ),
        (KALIBR + "distortion_model: radtan\ndistortion_coefs: [-0.3, 0, 0, 0]", "key 'distortion_coeffs' is missing"),
        (SIZE + MATRIX + "roi: {x_offset: 8, y_offset: 0, width: 320, height: 240}", "roi: is .*'x_offset': 8"),
        (SIZE + MATRIX + "roi: [0, 0]", "roi: is"),
        (OPENCV + "camera_matrix: 5\n", "camera_matrix: must be an !!opencv-matrix"),
        (OPENCV + OPENCV_MATRIX + "img_w: 640\n", "key 'image_width' is missing"),
        (
            OPENCV + OPENCV_CAMERA + "distortion_model: equidistant\n",
            "distortion_model: is 'equidistant', but .*plumb_bob",
        ),
        (OPENCV + OPENCV_CAMERA + 'fisheye_model: "true"\n', "fisheye_model: must be a number"),
        (OPENCV + OPENCV_CAMERA + "mask: rim.png\n", "mask: is not read from OpenCV"),
        (OPENCV_CAMERA + "roi: {x_offset: 100}\n", "roi: is not read from OpenCV"),
        (OPENCV + OPENCV_MATRIX + 'image_width: "wide"\n', "image_width: must be a number"),
        (OPENCV + OPENCV_MATRIX + SIZE + "dist_coeffs: 5\n", "key 'distortion_coefficients' is missing"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(CameraError, match=says) as caught:
        load_camera(tmp_path / "bad.yaml")
    assert "bad.yaml" in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"none\.yaml"):
        load_camera(tmp_path / "none.yaml")
