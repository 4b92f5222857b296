"""A picture of the map as a camera would take it, by a route of its own: every pixel's ray to the ellipsoid."""

from pathlib import Path

import cv2
import numpy as np
import rasterio

from onboard.camera import Camera
from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera, geodetic_from_ecef, intersect_ellipsoid
from onboard.localizer import Localizer
from onboard.matches import View


def view_from_700km(localizer: Localizer, mosaic: Path, lat: float, lon: float, heading_deg: float) -> View:
    """What a localizer sees in a look from there."""
    frame = look(mosaic, localizer.camera, lat, lon, 700e3, heading_deg)
    return localizer.view(frame, localizer.camera, localizer.knowledge())


def look(
    mosaic: Path,
    camera: Camera,
    lat: float,
    lon: float,
    alt_m: float,
    heading_deg: float,
    cam_tilt: np.ndarray | None = None,
) -> np.ndarray:
    """An RGB frame with other contrast than the map's; space black. cam_tilt (3, 3): rotation from camera axes to those
    of a camera that looks straight down; None: it does."""
    with rasterio.open(mosaic) as raster:
        earth = np.moveaxis(raster.read(), 0, -1)
    rotation = ecef_from_nadir_camera(lat, lon, heading_deg) @ (np.eye(3) if cam_tilt is None else cam_tilt)
    rays = camera.rays(camera.pixel_grid()) @ rotation.T
    ground = intersect_ellipsoid(ecef_from_geodetic(lat, lon, alt_m), rays)
    at_lat, at_lon, _ = geodetic_from_ecef(ground)
    x = (at_lon + 180) / 360 * earth.shape[1] - 0.5
    y = (90 - at_lat) / 180 * earth.shape[0] - 0.5
    shape = (camera.height, camera.width)
    frame = cv2.remap(
        earth, x.reshape(shape).astype(np.float32), y.reshape(shape).astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    frame[np.isnan(ground[:, 0]).reshape(shape)] = 0
    return (255 * (frame / 255.0) ** 0.8 * (0.9, 0.8, 0.6) + 15).clip(0, 255).astype(np.uint8)
