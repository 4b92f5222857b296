"""One frame of the simulated camera, from place, pointing, Sun and look."""

from copy import copy
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
from sim.places import Sea
from sim.season import recolour
from sim.sensor import expose
from sim.surface import ground_reflectance
from sim.texture import Mosaic, sample_footprints
from sim.view import Grid, NodeGrid, PixelRays, look_at_earth, strips


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

    def __init__(self, camera: Camera, mosaic: Mosaic, ocean: Sea | None = None) -> None:
        self.camera, self.mosaic = camera, mosaic
        self.ocean: Sea = OceanMask() if ocean is None else ocean
        self._rays = PixelRays.of(camera)

    def over(self, mosaic: Mosaic, ocean: Sea) -> "Renderer":
        """The same camera over another world; its rays, tens of megabytes, are shared."""
        other = copy(self)
        other.mosaic, other.ocean = mosaic, ocean
        return other

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
        ocean_share = self.ocean.share(*view.places_deg, gsd_m)
        ground, land = ground_reflectance(colours, ocean_share, view, look)
        clouds = cloud_layer(view, look, sun_ecef)
        light = top_of_air(ground, clouds, air_of(view, look.aerosol), grid)
        visible = view.seen & mapped
        if not visible.all():
            light[:, ~visible] = 0.0
        altitude_m = float(np.linalg.norm(position_ecef_m)) - EARTH_RADIUS_M
        frame = expose(light, self.camera, look, rng, altitude_m)

        mask = self.camera.mask
        # None: everywhere, which is the common case and the quick one.
        earth = (view.seen if mask is None else view.seen & mask) if mask is not None or not view.seen.all() else None
        return Observation(
            frame,
            earth_share=1.0 if earth is None else _mean(earth, mask),
            land_share=_mean(land, earth),
            cloud_cover=0.0 if clouds is None else _mean(clouds.opacity, earth),
            mapped_share=_mean(mapped, earth),
        )


def top_of_air(ground: NDArray[np.float32], clouds: CloudLayer | None, air: Air, grid: NodeGrid) -> NDArray[np.float32]:
    """Light (4, H, W) that leaves the Earth, in units of the Sun's reflectance: ground (4, H, W) through the air,
    under clouds, by daylight; NaN where there is no Earth."""
    light = np.empty_like(ground)
    pieces = [(rows, None if clouds is None else _under(clouds, rows)) for rows in strips(grid.height, grid.width)]
    for band, plane in enumerate(light):
        path, through = grid.at_pixels(air.path[band] * air.daylight), grid.at_pixels(air.through[band] * air.daylight)
        above = None if clouds is None else grid.at_pixels(air.through_above[band] * air.daylight)
        for rows, shares in pieces:
            np.multiply(ground[band, rows], through[rows], out=plane[rows])
            if shares is None or above is None:
                plane[rows] += path[rows]
                continue
            clear, thin, cloud = shares
            plane[rows] *= clear
            plane[rows] += path[rows] * thin
            plane[rows] += above[rows] * cloud
    return light


def _under(clouds: CloudLayer, rows: slice) -> tuple[Grid, Grid, Grid]:
    """What clouds leave of the ground's light and of the air's, and what they send back, before the air above them."""
    opacity = clouds.opacity[rows]
    clear = (1 - clouds.shadow[rows]) * (1 - opacity)
    return clear, 1 - np.float32(1 - AIR_ABOVE_CLOUDS) * opacity, clouds.reflectance[rows] * opacity


def _mean(values: NDArray, where: NDArray[np.bool_] | None) -> float:
    """Mean of (H, W) where told; 0 where nothing is."""
    weights = None if where is None else where.view(np.uint8)
    return cv2.mean(values.view(np.uint8) if values.dtype == bool else values, weights)[0]
