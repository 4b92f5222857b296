"""Views: a simulated frame and the map laid over it pixel by pixel, by exactly known geometry.

What learning needs to be told is where on the map a pixel of a frame lies, not which keypoints happen to repeat: a
network learned from those alone never sees the ground on which they do not.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.features import RIM_PX, detect, keypoint_table, once_a_place
from onboard.geodesy import Array, geodetic_from_ecef, intersect_ellipsoid
from onboard.ground_plane import GroundPlane
from onboard.patches import patches_at
from onboard.picture import Picture, equalised, luminance, shrink_mask
from onboard.rectify import Rectified, rectifier

_NODE_PX = 8  # between pixels whose place is computed; the geometry is smooth
_KEYPOINTS = 1200  # of a view, the strongest: about as many as a catalogue has there
_FEWEST = 60
# A frame of cloud or night teaches nothing. Of so many keypoints, on so large a share the frame must look more like the
# map there than like the map at any other (by correlation, bright and dark alike): chance gives half a percent.
_ASKED, _LEAST_SHARE = 200, 0.03


@dataclass(frozen=True, eq=False)
class Views:
    """V frames with the map laid over each: frame, map (V, H, W) uint8 luminance, pixel by pixel the same ground;
    lat_deg, lon_deg (V,) float32 of the nadir point. K keypoints of the map, view by view: view (K,) int64, the number
    of the view; xy (K, 2) float32 pixels; angle_deg (K,) float32, SIFT's, clockwise from +x."""

    frame: NDArray[np.uint8]
    map: NDArray[np.uint8]
    lat_deg: NDArray[np.float32]
    lon_deg: NDArray[np.float32]
    view: NDArray[np.int64]
    xy: NDArray[np.float32]
    angle_deg: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def concatenate(cls, parts: "list[Views]") -> "Views":
        first = np.cumsum([0, *map(len, parts)])
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        joined["view"] = np.concatenate([part.view + number for part, number in zip(parts, first[:-1].tolist())])
        return cls(**joined)


def view_of_frame(
    frame: NDArray[np.uint8], camera: Camera, truth: Any, nominal_altitude_m: float, chart: Any
) -> Views | None:
    """The one view of a frame and the map around it, None when it shows too little of it.

    truth: of the frame (`sim.batch.Truth`); chart: what the service ``local_map`` returns; nominal_altitude_m: what the
    runtime would believe. The frame is rectified as in flight, not knowing its tilt; the map is laid over it by the
    true rays.
    """
    seen = rectifier(camera, GroundPlane(nominal_altitude_m), chart.gsd_m)(frame)
    grey = luminance(seen.image, seen.mask)
    on_map = _map_pixels(seen, camera, truth, chart)
    whole = luminance(chart.rgb, np.ones(chart.mask.shape, bool))
    laid = cv2.remap(whole, on_map[..., 0], on_map[..., 1], cv2.INTER_LINEAR)
    mapped = cv2.remap(chart.mask.astype(np.uint8), on_map[..., 0], on_map[..., 1], cv2.INTER_NEAREST) > 0
    keypoints = detect(Picture(laid, equalised(laid), shrink_mask(seen.mask & mapped, RIM_PX)))
    table = once_a_place(keypoint_table(keypoints))[:_KEYPOINTS]
    xy, angle_deg = np.ascontiguousarray(table[:, :2]), table[:, 2].copy()
    if len(xy) < _FEWEST or _share_alike(grey, laid, xy, angle_deg) < _LEAST_SHARE:
        return None
    lat_deg, lon_deg = (np.array([value], np.float32) for value in (truth.lat_deg, truth.lon_deg))
    return Views(grey[None], laid[None], lat_deg, lon_deg, np.zeros(len(xy), np.int64), xy, angle_deg)


def _map_pixels(seen: Rectified, camera: Camera, truth: Any, chart: Any) -> NDArray[np.float32]:
    """The pixel (H, W, 2) of the map on which each pixel of a rectified frame really lies."""
    height, width = seen.mask.shape
    columns, rows = (np.arange(0, size + _NODE_PX, _NODE_PX) for size in (width, height))
    nodes = np.stack(np.meshgrid(columns, rows), axis=-1)
    pixels = camera.project(seen.plane.to_camera(seen.ground_m(nodes.reshape(-1, 2))))
    ground = intersect_ellipsoid(truth.position_ecef_m, camera.rays(pixels) @ truth.ecef_from_cam.T)
    lat, lon, _ = geodetic_from_ecef(ground)
    at_nodes = np.nan_to_num(chart.pixels(lat, lon), nan=-1e4).reshape(nodes.shape).astype(np.float32)
    to_nodes = np.array([[1 / _NODE_PX, 0, 0], [0, 1 / _NODE_PX, 0]])
    return cv2.warpAffine(at_nodes, to_nodes, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _share_alike(grey: NDArray[np.uint8], laid: NDArray[np.uint8], xy: NDArray, angle_deg: NDArray) -> float:
    """On how many of the keypoints the frame looks more like the map there than like the map at any other."""
    some = np.linspace(0, len(xy) - 1, min(_ASKED, len(xy))).astype(int)
    frame, chart = (_even(patches_at(picture, xy[some], angle_deg[some])) for picture in (grey, laid))
    return float((np.abs(frame @ chart.T).argmax(axis=1) == np.arange(len(some))).mean())


def _even(patches: NDArray[np.uint8]) -> Array:
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9))
