"""What the ground sends back: reflectance of land, snow and water in four bands, from the mosaic's colours."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.look import Look
from sim.noise import FractalNoise, plane_m
from sim.view import Grid, View, strips

# Bands in this order everywhere in the simulator; NIR about 800 nm.
BANDS = ("red", "green", "blue", "nir")
# Open ocean just below the surface (Morel and Prieur 1977, clear water, rounded).
WATER_REFLECTANCE = np.array([0.004, 0.013, 0.032, 0.002], np.float32)
WATER_REFRACTION_F0 = 0.02  # Fresnel reflectance of water at normal incidence


def ground_reflectance(
    rgb: NDArray[np.float32], ocean_share: Grid, view: View, look: Look
) -> tuple[NDArray[np.float32], Grid]:
    """Reflectance (4, H, W) of the ground, and the share of land (H, W).

    rgb: the mosaic's colours (H, W, 3), 0 to 255; ocean_share (H, W). The painted sea floor is dropped wherever the
    mask says ocean or the colour says lake; white on the sea stays, as ice.
    """
    height, width = ocean_share.shape
    ground, land_share = np.empty((4, height, width), np.float32), np.empty((height, width), np.float32)
    for rows in strips(height, width):
        red, green, blue = cv2.split(rgb[rows])
        land_share[rows] = 1 - _water_share(red, green, blue, ocean_share[rows])
        ground[:, rows] = _land(rgb[rows], (red, green, blue), look)
    if land_share.min() >= 1:
        return ground, land_share
    variation, glint = _water(view, look)
    for rows in strips(height, width):
        land, water = land_share[rows], 1 - land_share[rows]
        for band, own in zip(ground[:, rows], WATER_REFLECTANCE):
            band *= land
            band += water * (own * variation[rows] + glint[rows])
    return ground, land_share


def _water_share(red: Grid, green: Grid, blue: Grid, ocean_share: Grid) -> Grid:
    brightest = np.maximum(red, green)
    painted = np.clip((blue - np.float32(1.25) * brightest - 2) * np.float32(1 / 8), 0, 1)
    # Lakes are nearly black in Blue Marble, inland seas painted bluer than any land.
    lake = np.clip((26 - np.maximum(brightest, blue)) * np.float32(1 / 8), 0, 1)
    ice = np.clip((np.minimum(red, green) - 120) * np.float32(1 / 40), 0, 1)
    water = np.maximum(np.maximum(ocean_share, lake), painted)
    water *= 1 - ice
    return water


def _land(rgb: NDArray[np.float32], colours: tuple[Grid, Grid, Grid], look: Look) -> NDArray[np.float32]:
    """Blue Marble's tone curve undone: forest about 3 %, the Sahara about 40 %, snow about 80 %."""
    bands = np.empty((4, *rgb.shape[:2]), np.float32)
    tone = rgb * np.float32(1 / 255)
    cubed = tone * tone * tone
    reflectance = cv2.pow(tone, 1.8)
    reflectance *= np.float32(0.55)
    reflectance += np.float32(0.25) * cubed * cubed
    reflectance += np.float32(0.015)
    cv2.split(reflectance, list(bands[:3]))

    red, green, blue = colours
    greenness = (2 * green - red - blue) / (red + green + blue + 6)
    greenness = np.clip((greenness - np.float32(0.04)) * np.float32(1 / 0.4), 0, 1)
    bare = np.float32(1.1) * bands[0] + np.float32(0.03)
    nir = bare + (np.float32(look.vegetation_nir) - bare) * greenness
    # Snow is darker in the near infrared than in the visible.
    snow = np.clip((np.minimum(bands[1], bands[2]) - np.float32(0.45)) * np.float32(5), 0, 1)
    bands[3] = nir * (1 - np.float32(0.15) * snow)
    return bands


def _water(view: View, look: Look) -> tuple[Grid, Grid]:
    """Per pixel (H, W): a factor on water's own colour, slightly patchy, and the Sun's mirror image (Cox and Munk
    1954)."""
    x, y = plane_m(view.ecef_m, look.anchor_lat_deg, look.anchor_lon_deg)
    patches = FractalNoise(look.cloud_seed + 1, longest_m=300e3, hurst=0.6)
    variation = 1 + np.float32(0.18) * patches.at_pixels(view.grid, x, y, view.footprint_m, coarse=4)
    slope_variance = np.float32(0.003 + 0.00512 * look.wind_m_s)
    tilt = np.maximum(view.glint_tilt, np.float32(0.05))
    tangent2 = 1 / (tilt * tilt) - 1
    facets = np.exp(-tangent2 / slope_variance) / (np.float32(np.pi) * slope_variance)
    lit = np.maximum(view.cos_sun, np.float32(0.05)) * np.maximum(view.cos_view, np.float32(0.05))
    # Schlick's Fresnel term at the facet: half the angle between the Sun and the camera.
    half = np.sqrt(np.maximum(0, (1 - view.cos_scatter) / 2))
    fresnel = np.float32(WATER_REFRACTION_F0) + np.float32(1 - WATER_REFRACTION_F0) * (1 - half) ** 5
    glint = np.where(view.cos_sun > 0, np.float32(np.pi) * fresnel * facets / (4 * lit * tilt**4), np.float32(0))
    return variation, view.grid.at_pixels(np.minimum(glint, np.float32(3)))
