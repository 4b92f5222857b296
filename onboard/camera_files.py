"""Cameras from ROS CameraInfo, OpenCV FileStorage and Kalibr YAML; written back as ROS CameraInfo."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from onboard.camera import Camera
from onboard.errors import CameraError

# Kalibr names of distortion models, in ours.
_KALIBR_MODELS = {"radtan": "plumb_bob", "equidistant": "equidistant", "equi": "equidistant", "none": "plumb_bob"}


def load_camera(path: str | Path) -> Camera:
    """Read a camera; the kind of file is told by its keys. Raises CameraError saying what is wrong.

    A key ``mask`` (our extension of CameraInfo) names a grey picture of the image's size beside the file:
    0 where a pixel never sees the Earth.
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
            return _from_ros(path, data)
        kalibr = data.get("cam0", data)
        if isinstance(kalibr, dict) and "intrinsics" in kalibr:
            return _from_kalibr(kalibr, path.stem)
        raise CameraError("is no ROS CameraInfo (camera_matrix), OpenCV FileStorage (%YAML) or Kalibr (intrinsics)")
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError, yaml.YAMLError, cv2.error) as error:
        what = f"key {error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise CameraError(f"{path}: {what}") from error


def _from_ros(path: Path, data: dict[str, Any]) -> Camera:
    k = np.asarray(data["camera_matrix"]["data"], float).reshape(3, 3)
    mask = None
    if data.get("mask"):
        mask_path = path.parent / data["mask"]
        picture = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) if mask_path.exists() else None
        if picture is None:
            raise CameraError(f"its mask {mask_path} is missing or no picture")
        mask = picture > 127
    return _camera(
        data["image_width"], data["image_height"], k, str(data.get("distortion_model") or "plumb_bob"),
        data.get("distortion_coefficients", {}).get("data", []), str(data.get("camera_name", path.stem)), mask,
    )  # fmt: skip


def _from_opencv(path: Path, content: str) -> Camera:
    storage = cv2.FileStorage(content, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    k = storage.getNode("camera_matrix").mat()
    if k is None:
        raise KeyError("camera_matrix")
    distortion = storage.getNode("distortion_coefficients").mat()
    size = storage.getNode("image_width").real(), storage.getNode("image_height").real()
    # OpenCV's calibration sample marks fisheye cameras so; everything else is its rational family.
    fisheye = storage.getNode("fisheye_model").real() == 1
    coefficients = [] if distortion is None else distortion.ravel()
    model = "equidistant" if fisheye else ("plumb_bob" if len(coefficients) <= 5 else "rational_polynomial")
    return _camera(size[0], size[1], k, model, coefficients, path.stem, None)


def _from_kalibr(data: dict[str, Any], name: str) -> Camera:
    if data.get("camera_model", "pinhole") != "pinhole":
        raise CameraError(f"Kalibr camera model {data['camera_model']!r} is not supported; pinhole is")
    kind = data.get("distortion_model", "none")
    if kind not in _KALIBR_MODELS:
        raise CameraError(f"Kalibr distortion model {kind!r} is not known; use one of {', '.join(_KALIBR_MODELS)}")
    fx, fy, cx, cy = (float(value) for value in data["intrinsics"])
    k = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    width, height = data["resolution"]
    return _camera(width, height, k, _KALIBR_MODELS[kind], data.get("distortion_coeffs", []), name, None)


def _camera(width: Any, height: Any, k: Any, model: str, distortion: Any, name: str, mask: Any) -> Camera:
    if abs(k[0][1]) > 1e-9:
        raise CameraError("camera matrix has skew, which no model here carries")
    coefficients = tuple(float(value) for value in distortion)
    return Camera(
        int(width), int(height), float(k[0][0]), float(k[1][1]), float(k[0][2]), float(k[1][2]),
        model, coefficients, name, mask,
    )  # fmt: skip


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
        (path.parent / data["mask"]).write_bytes(png.tobytes())
    path.write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None), encoding="utf-8")
