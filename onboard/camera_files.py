"""Cameras from ROS CameraInfo, OpenCV FileStorage and Kalibr YAML; written back as ROS CameraInfo."""

from collections.abc import Callable
from pathlib import Path
from reprlib import repr as short
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from onboard.camera import Camera
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
        if content.startswith("%YAML"):
            return _from_opencv(path, content)
        data = yaml.safe_load(content)
        if not isinstance(data, dict):
            raise CameraError("must be a YAML mapping")
        if "camera_matrix" in data:
            return _from_ros(path, data, named or path.parent.joinpath)
        kalibr = data.get("cam0", data)
        if isinstance(kalibr, dict) and "intrinsics" in kalibr:
            return _from_kalibr(kalibr, path.stem)
        raise CameraError("is no ROS CameraInfo (camera_matrix), OpenCV FileStorage (%YAML) or Kalibr (intrinsics)")
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error
    except SystemError as error:  # OpenCV's, for nodes of another kind than was asked for
        raise CameraError(f"{path}: is no OpenCV FileStorage of a camera: its matrices are none") from error
    except (KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError, cv2.error) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise CameraError(f"{path}: {what}") from error


def _from_ros(path: Path, data: dict[str, Any], named: Named) -> Camera:
    k = np.reshape(_numbers(_data(data, "camera_matrix"), "camera_matrix", 9), (3, 3))
    distortion = _data(data, "distortion_coefficients") if "distortion_coefficients" in data else []
    mask = None
    if data.get("mask"):
        if not isinstance(data["mask"], str):
            raise CameraError(f"mask: must be a file's name, not {short(data['mask'])}")
        mask_path = named(data["mask"])
        picture = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) if mask_path.exists() else None
        if picture is None:
            raise CameraError(f"its mask {mask_path} is missing or no picture")
        mask = picture > 127
    return _camera(
        _numbers([data["image_width"], data["image_height"]], "image_width and image_height"), k,
        str(data.get("distortion_model") or "plumb_bob"), distortion, str(data.get("camera_name", path.stem)), mask,
    )  # fmt: skip


def _from_opencv(path: Path, content: str) -> Camera:
    storage = cv2.FileStorage(content, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    k = storage.getNode("camera_matrix").mat()
    if k is None:
        raise KeyError("camera_matrix")
    distortion = storage.getNode("distortion_coefficients").mat()
    size = [storage.getNode(f"image_{side}").real() for side in ("width", "height")]
    # OpenCV's calibration sample marks fisheye cameras so; everything else is its rational family.
    fisheye = storage.getNode("fisheye_model").real() == 1
    coefficients = [] if distortion is None else distortion.ravel().tolist()
    model = "equidistant" if fisheye else ("plumb_bob" if len(coefficients) <= 5 else "rational_polynomial")
    return _camera(size, k, model, coefficients, path.stem, None)


def _from_kalibr(data: dict[str, Any], name: str) -> Camera:
    if data.get("camera_model", "pinhole") != "pinhole":
        raise CameraError(f"Kalibr camera model {data['camera_model']!r} is not supported; pinhole is")
    kind = data.get("distortion_model", "none")
    if kind not in _KALIBR_MODELS:
        raise CameraError(f"Kalibr distortion model {kind!r} is not known; use one of {', '.join(_KALIBR_MODELS)}")
    fx, fy, cx, cy = _numbers(data["intrinsics"], "intrinsics", 4)
    k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    size = _numbers(data["resolution"], "resolution", 2)
    return _camera(size, k, _KALIBR_MODELS[kind], data.get("distortion_coeffs", []), name, None)


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
    return Camera(int(width), int(height), fx, fy, cx, cy, model, coefficients, name, mask)


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


def save_camera(camera: Camera, path: str | Path) -> None:
    """Write ROS CameraInfo, and the mask as ``<stem>_mask.png`` beside it when there is one."""
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
        data["mask"] = f"{path.stem}_mask.png"
        encoded, png = cv2.imencode(".png", camera.mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])
        if not encoded:
            raise CameraError(f"{path}: its mask could not be written")
        write_whole(path.parent / data["mask"], png.tobytes())
    write_whole(path, yaml.safe_dump(data, sort_keys=False, default_flow_style=None))
