"""A calibrated camera: pixels to rays and back, with distortion and a mask.

Axes as in ROS CameraInfo: +x right, +y down, +z forward; pixel centres at integers.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from onboard.errors import CameraError
from onboard.geodesy import Array

# Model name -> allowed numbers of coefficients, in OpenCV's order.
MODELS = {"plumb_bob": (0, 4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (0, 4)}


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics. ``mask`` (height, width) bool is True where a pixel sees the Earth; None when all do.

    Raises CameraError when a value cannot be a camera's.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: str = "plumb_bob"
    distortion: tuple[float, ...] = ()
    name: str = "camera"
    mask: NDArray[np.bool_] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise CameraError(f"camera model {self.model!r} is not known; use one of {', '.join(MODELS)}")
        if len(self.distortion) not in MODELS[self.model]:
            raise CameraError(f"model {self.model} takes {MODELS[self.model]} coefficients, not {len(self.distortion)}")
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not np.all(np.isfinite(numbers)) or min(self.fx, self.fy) <= 0:
            raise CameraError("camera matrix: focal lengths must be positive and every number finite")
        if self.width < 16 or self.height < 16:
            raise CameraError(f"image size {self.width}x{self.height} is too small: at least 16x16")
        if self.mask is not None:
            if self.mask.dtype != bool or self.mask.shape != (self.height, self.width):
                raise CameraError(
                    f"mask is {self.mask.dtype} {self.mask.shape[::-1]}: give bool {(self.width, self.height)}"
                )
            object.__setattr__(self, "mask", np.ascontiguousarray(self.mask))  # its bytes are watched in flight

    @property
    def matrix(self) -> Array:
        """K, (3, 3)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def rays(self, pixels: ArrayLike) -> Array:
        """Unit directions (N, 3) in camera axes of pixels (N, 2)."""
        points = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2)
        if self.model == "equidistant":
            coefficients = np.array(self.distortion or (0.0,) * 4)
            xy = cv2.fisheye.undistortPoints(points, self.matrix, coefficients)
        else:
            criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-12)
            xy = cv2.undistortPoints(points, self.matrix, np.array(self.distortion), criteria=criteria)
        directions = np.concatenate([xy.reshape(-1, 2), np.ones((len(points), 1))], axis=1)
        return directions / np.linalg.norm(directions, axis=1, keepdims=True)

    def project(self, points_cam: ArrayLike) -> Array:
        """Pixels (N, 2) of points (N, 3) in camera axes; NaN behind the camera."""
        return self.project_with_slope(points_cam)[0]

    def project_with_slope(self, points_cam: ArrayLike) -> tuple[Array, Array]:
        """Pixels (N, 2) and their derivatives (N, 2, 3) by the point; NaN pixels behind the camera."""
        points = np.ascontiguousarray(points_cam, np.float64).reshape(-1, 3)
        if len(points) == 0:
            return np.empty((0, 2)), np.empty((0, 2, 3))
        ahead = points[:, 2] > 1e-9 * np.abs(points).max(initial=1.0)
        safe = np.where(ahead[:, None], points, (0.0, 0.0, 1.0)).reshape(-1, 1, 3)
        zero = np.zeros(3)
        if self.model == "equidistant":
            coefficients = np.array(self.distortion or (0.0,) * 4)
            pixels, slopes = cv2.fisheye.projectPoints(safe, zero, zero, self.matrix, coefficients)
            by_translation = slopes[:, 11:14]  # after focal lengths, centre, distortion and rotation
        else:
            pixels, slopes = cv2.projectPoints(safe, zero, zero, self.matrix, np.array(self.distortion))
            by_translation = slopes[:, 3:6]  # after rotation
        return np.where(ahead[:, None], pixels.reshape(-1, 2), np.nan), by_translation.reshape(-1, 2, 3)

    def pixel_grid(self) -> Array:
        """All pixel centres, (height * width, 2), row by row."""
        x, y = np.meshgrid(np.arange(self.width, dtype=np.float64), np.arange(self.height, dtype=np.float64))
        return np.stack([x.ravel(), y.ravel()], axis=1)

    def scaled_to(self, width: int, height: int) -> "Camera":
        """The same camera read out at another size of the same aspect ratio (binning, resizing). Raises CameraError
        for another one."""
        if (width, height) == (self.width, self.height):
            return self
        sx, sy = width / self.width, height / self.height
        if abs(sx / sy - 1) > 0.01:
            turned = abs(width * self.width / (height * self.height) - 1) <= 0.01
            raise CameraError(
                f"a {width}x{height} frame cannot come from camera {self.name} of {self.width}x{self.height}: "
                f"the aspect ratios differ (is it {'turned by a quarter' if turned else 'cropped'}?)"
            )
        return self.resized(width, height)

    def resized(self, width: int, height: int) -> "Camera":
        """The camera of its pictures after a resize to any size, 16x16 at least.

        With pixel centres at integers a resize by s moves a centre x to s * (x + 0.5) - 0.5.
        """
        sx, sy = width / self.width, height / self.height
        mask = None
        if self.mask is not None:
            # A reduced pixel sees the Earth only where all it covers does.
            share = cv2.resize(self.mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            mask = share > 0.99
        return replace(
            self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5, cy=(self.cy + 0.5) * sy - 0.5, mask=mask,
        )  # fmt: skip
