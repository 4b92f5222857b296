"""Cameras from ROS CameraInfo, OpenCV FileStorage and Kalibr YAML; written back as ROS CameraInfo."""

import re
from collections.abc import Callable
from pathlib import Path
from reprlib import repr as short
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from onboard.camera import MODELS, Camera
from onboard.errors import CameraError
from onboard.geodesy import Array
from onboard.whole_file import write_whole

# Kalibr names of distortion models, in ours.
_KALIBR_MODELS = {"radtan": "plumb_bob", "equidistant": "equidistant", "equi": "equidistant", "none": "plumb_bob"}
_MOST_PX = 1 << 16  # a side; no JPEG holds more

Named = Callable[[str], Path]


def load_camera(path: str | Path, named: Named | None = None) -> Camera:
    """Read a camera; the kind of file is told by its keys. Raises CameraError saying what is wrong.

    A key ``mask`` (our extension of CameraInfo) names a grey picture of the image's size: 0 where a pixel never sees
    the Earth. named: where a file of a name lies; beside the camera's, unless told otherwise.
    """
    path = Path(path)
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CameraError(f"{path}: cannot be read ({error})") from error
    try:
        # Of old FileStorages the first line tells; OpenCV 5 begins them as any YAML may begin.
        if content.startswith("%YAML:") or re.search(r"^[^#\n]*:\s*!!opencv-matrix", content, re.MULTILINE):
            return _from_opencv(path, content)
        data = yaml.safe_load(content)
        if not isinstance(data, dict):
            raise CameraError("must be a YAML mapping")
        if "camera_matrix" in data:
            return _from_ros(path, data, named or path.parent.joinpath)
        kalibr = data.get("cam0", data)
        if isinstance(kalibr, dict) and "intrinsics" in kalibr:
            return _from_kalibr(kalibr, path.stem)
        raise CameraError(
            "is no ROS CameraInfo (camera_matrix), OpenCV FileStorage (!!opencv-matrix) or Kalibr (intrinsics)"
        )
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error
    except SystemError as error:  # OpenCV's, for nodes of another kind than was asked for
        raise CameraError(f"{path}: is no OpenCV FileStorage of a camera: its matrices are none") from error
    except (KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError, cv2.error) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise CameraError(f"{path}: {what}") from error


def _from_ros(path: Path, data: dict[str, Any], named: Named) -> Camera:
    k = np.reshape(_numbers(_data(data, "camera_matrix"), "camera_matrix", 9), (3, 3))
    size = _numbers([data["image_width"], data["image_height"]], "image_width and image_height")
    _require_whole_picture(data, size)
    model, distortion = data.get("distortion_model"), []
    if model or "distortion_coefficients" in data:
        distortion = _data(data, "distortion_coefficients")
    if distortion and not model:
        raise CameraError(f"distortion_model: is missing; say whose the coefficients are: {', '.join(MODELS)}")
    mask = None
    if data.get("mask"):
        if not isinstance(data["mask"], str):
            raise CameraError(f"mask: must be a file's name, not {short(data['mask'])}")
        mask_path = named(data["mask"])
        picture = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) if mask_path.exists() else None
        if picture is None:
            raise CameraError(f"its mask {mask_path} is missing or no picture")
        mask = picture > 127
    return _camera(size, k, str(model or "plumb_bob"), distortion, str(data.get("camera_name", path.stem)), mask)


def _require_whole_picture(data: dict[str, Any], size: list[float]) -> None:
    """CameraInfo's matrix is of the whole picture. Binned frames tell themselves by their size; a region does not."""
    roi = data.get("roi") or {}
    whole = {"x_offset": 0, "y_offset": 0, "width": size[0], "height": size[1]}
    if not isinstance(roi, dict) or any(roi.get(key, 0) not in (0, full) for key, full in whole.items()):
        raise CameraError(f"roi: is {short(roi)}; leave it out and write the matrix and size of what it cuts out")


def _from_opencv(path: Path, content: str) -> Camera:
    storage = cv2.FileStorage(content, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    k = _matrix(storage, "camera_matrix")
    size = [_number(storage, "image_width"), _number(storage, "image_height")]
    coefficients = _matrix(storage, "distortion_coefficients").ravel().tolist()
    for key in ("roi", "mask"):
        if not storage.getNode(key).empty():
            raise CameraError(f"{key}: is not read from OpenCV's files; write the camera as a ROS CameraInfo")
    # OpenCV's calibration sample marks fisheye cameras so; everything else is its rational family.
    fisheye = not storage.getNode("fisheye_model").empty() and _number(storage, "fisheye_model") == 1
    model = "equidistant" if fisheye else ("plumb_bob" if len(coefficients) <= 5 else "rational_polynomial")
    told = storage.getNode("distortion_model")
    if not told.empty() and told.string() != model:
        raise CameraError(
            f"distortion_model: is {told.string()!r}, but an OpenCV file of these numbers is {model}: "
            "leave it out (fisheye_model: 1 says equidistant), or write a ROS CameraInfo"
        )
    return _camera(size, k, model, coefficients, path.stem, None)


def _node(storage: cv2.FileStorage, key: str) -> cv2.FileNode:
    node = storage.getNode(key)
    if node.empty():
        raise KeyError(key)
    return node


def _matrix(storage: cv2.FileStorage, key: str) -> Array:
    try:
        matrix = _node(storage, key).mat()
    except cv2.error as error:
        raise CameraError(f"{key}: must be an !!opencv-matrix") from error
    return np.empty(0) if matrix is None else matrix


def _number(storage: cv2.FileStorage, key: str) -> float:
    node = _node(storage, key)
    if not (node.isInt() or node.isReal()):
        raise CameraError(f"{key}: must be a number")
    return node.real()


def _from_kalibr(data: dict[str, Any], name: str) -> Camera:
    if data.get("camera_model", "pinhole") != "pinhole":
        raise CameraError(f"Kalibr camera model {data['camera_model']!r} is not supported; pinhole is")
    kind = data.get("distortion_model", "none")
    if kind not in _KALIBR_MODELS:
        raise CameraError(f"Kalibr distortion model {kind!r} is not known; use one of {', '.join(_KALIBR_MODELS)}")
    fx, fy, cx, cy = _numbers(data["intrinsics"], "intrinsics", 4)
    k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    size = _numbers(data["resolution"], "resolution", 2)
    distortion = data.get("distortion_coeffs", []) if kind == "none" else data["distortion_coeffs"]
    return _camera(size, k, _KALIBR_MODELS[kind], distortion, name, None)


def _camera(
    size: list[float], k: Array, model: str, distortion: Any, name: str, mask: NDArray[np.bool_] | None
) -> Camera:
    if k.shape != (3, 3):
        raise CameraError(f"camera_matrix: must be 3x3, not {'x'.join(map(str, k.shape))}")
    (fx, skew, cx), (_, fy, cy), _ = k.tolist()
    if abs(skew) > 1e-9:
        raise CameraError("camera_matrix: has skew, which no model here carries")
    if not np.allclose(k, [[fx, skew, cx], [0, fy, cy], [0, 0, 1]], rtol=0, atol=1e-9):
        raise CameraError("camera_matrix: must be fx 0 cx, 0 fy cy, 0 0 1, row by row")
    width, height = size
    if width % 1 or height % 1 or max(size) > _MOST_PX:
        raise CameraError(f"image size {width:g}x{height:g}: must be whole pixels, {_MOST_PX} at most")
    coefficients = tuple(_numbers(distortion, "distortion_coefficients"))
    camera = Camera(int(width), int(height), fx, fy, cx, cy, model, coefficients, name, mask)
    if not (0 <= cx < width and 0 <= cy < height):
        raise CameraError(
            f"its principal point ({cx:g}, {cy:g}) lies outside the picture of {width:g}x{height:g}: give cx and cy in "
            "pixels of that size (are they swapped, or of a picture of another size?)"
        )
    return camera


def _data(data: dict[str, Any], key: str) -> Any:
    if not isinstance(data[key], dict) or "data" not in data[key]:
        raise CameraError(f"{key}: must be a mapping with a list 'data', not {short(data[key])}")
    return data[key]["data"]


def _numbers(told: Any, key: str, count: int | None = None) -> list[float]:
    """A list's finite numbers. Raises CameraError, naming the key."""
    try:
        numbers = [float(entry) for entry in told] if isinstance(told, list) else [np.nan]
    except (TypeError, ValueError, OverflowError):
        numbers = [np.nan]
    if not np.isfinite(numbers).all() or count not in (None, len(numbers)):
        raise CameraError(f"{key}: must be {count or 'a list of'} finite numbers, not {short(told)}")
    return numbers


def mask_file(path: Path) -> Path:
    """Where `save_camera` writes a camera's mask: ``<stem>_mask.png`` beside its file."""
    return path.with_name(f"{path.stem}_mask.png")


def save_camera(camera: Camera, path: str | Path) -> None:
    """Write ROS CameraInfo, and the mask beside it when there is one."""
    path = Path(path)
    matrix = [float(value) for value in camera.matrix.ravel()]
    data: dict[str, Any] = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": camera.name,
        "camera_matrix": {"rows": 3, "cols": 3, "data": matrix},
        "distortion_model": camera.model,
        "distortion_coefficients": {"rows": 1, "cols": len(camera.distortion), "data": list(camera.distortion)},
    }
    if camera.mask is not None:
        data["mask"] = mask_file(path).name
        encoded, png = cv2.imencode(".png", camera.mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
        if not encoded:
            raise CameraError(f"{path}: its mask could not be written")
        write_whole(mask_file(path), png.tobytes())
    write_whole(path, yaml.safe_dump(data, sort_keys=False, default_flow_style=None))
