"""One frame of the simulated camera, from place, pointing, Sun and look."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import EARTH_RADIUS_M, Array
from sim.atmosphere import AIR_ABOVE_CLOUDS, Air, air_of
from sim.clouds import CloudLayer, cloud_layer
from sim.ground_change import changed
from sim.look import Look
from sim.ocean import OceanMask
from sim.season import recolour
from sim.sensor import expose
from sim.surface import ground_reflectance
from sim.texture import Mosaic, sample_footprints
from sim.view import NodeGrid, PixelRays, look_at_earth, strips


@dataclass(frozen=True, eq=False)
class Observation:
    """frame (H, W, 3) uint8 RGB, and what it shows, as shares 0 to 1 of the pixels the camera's mask lets see:
    earth_share; of the Earth's pixels: land_share (ice included), cloud_cover (mean opacity), mapped_share (covered
    by the mosaic)."""

    frame: NDArray[np.uint8]
    earth_share: float
    land_share: float
    cloud_cover: float
    mapped_share: float


class Renderer:
    """Renders one camera over one mosaic. Made once: the camera's rays and the ocean mask are kept.

    Not to be shared by threads (a raster's file handle is not).
    """

    def __init__(self, camera: Camera, mosaic: Mosaic, ocean: OceanMask | None = None) -> None:
        self.camera, self.mosaic = camera, mosaic
        self.ocean = OceanMask() if ocean is None else ocean
        self._rays = PixelRays.of(camera)

    def render(
        self, position_ecef_m: Array, ecef_from_cam: Array, sun_ecef: Array, look: Look, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """A frame (H, W, 3) uint8 RGB.

        position_ecef_m (3,); ecef_from_cam (3, 3) rotation; sun_ecef (3,) unit vector; ``rng`` drives only the
        sensor's noise. Space, the unmapped and the night are black.
        """
        return self.observe(position_ecef_m, ecef_from_cam, sun_ecef, look, rng).frame

    def observe(
        self, position_ecef_m: Array, ecef_from_cam: Array, sun_ecef: Array, look: Look, rng: np.random.Generator
    ) -> Observation:
        """As `render`, with what the frame shows."""
        view = look_at_earth(self._rays, position_ecef_m, ecef_from_cam, sun_ecef)
        grid = view.grid
        colours, mapped = sample_footprints(self.mosaic, view)
        colours = changed(recolour(colours, view, look), view, look)
        gsd_m = float(np.nanmedian(view.footprint_m)) if view.seen.any() else 1e3
        ocean_share = self.ocean.share(grid.at_pixels(view.lat_deg), grid.at_pixels(view.lon_deg), gsd_m)
        ground, land = ground_reflectance(colours, ocean_share, view, look)
        clouds = cloud_layer(view, look, sun_ecef)
        light = top_of_air(ground, clouds, air_of(view, look.aerosol), grid)
        visible = view.seen & mapped
        if not visible.all():
            light[~visible] = 0.0
        altitude_m = float(np.linalg.norm(position_ecef_m)) - EARTH_RADIUS_M
        frame = expose(light, self.camera, look, rng, altitude_m)

        earth = view.seen if self.camera.mask is None else view.seen & self.camera.mask
        return Observation(
            frame,
            earth_share=_mean(earth, None if self.camera.mask is None else self.camera.mask),
            land_share=_mean(land, earth),
            cloud_cover=0.0 if clouds is None else _mean(clouds.opacity, earth),
            mapped_share=_mean(mapped, earth),
        )


def top_of_air(ground: NDArray[np.float32], clouds: CloudLayer | None, air: Air, grid: NodeGrid) -> NDArray[np.float32]:
    """Light (H, W, 4) that leaves the Earth, in units of the Sun's reflectance: ground (4, H, W) through the air,
    under clouds, by daylight; NaN where there is no Earth."""
    light = np.empty((grid.height, grid.width, 4), np.float32)
    paths = [grid.at_pixels(path * air.daylight) for path in air.path]
    throughs = [grid.at_pixels(through * air.daylight) for through in air.through]
    aboves = [] if clouds is None else [grid.at_pixels(through * air.daylight) for through in air.through_above]
    for rows in strips(grid.height, grid.width):
        planes = []
        for band in range(4):
            plane = ground[band, rows] * throughs[band][rows]
            if clouds is not None:
                plane *= 1 - clouds.shadow[rows]
            plane += paths[band][rows]
            if clouds is not None:
                above = paths[band][rows] * np.float32(AIR_ABOVE_CLOUDS)
                above += clouds.reflectance[rows] * aboves[band][rows]
                above -= plane
                above *= clouds.opacity[rows]
                plane += above
            planes.append(plane)
        cv2.merge(planes, light[rows])
    return light


def _mean(values: NDArray, where: NDArray[np.bool_] | None) -> float:
    """Mean of (H, W) where told; 0 where nothing is."""
    weights = None if where is None else where.view(np.uint8)
    return cv2.mean(values.view(np.uint8) if values.dtype == bool else values, weights)[0]
