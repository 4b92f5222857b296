"""What the ground sends back: reflectance of land, snow and water in four bands, from the mosaic's colours."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.look import Look
from sim.noise import FractalNoise, plane_m
from sim.view import Grid, View, strips

Counts = NDArray[np.uint8]

# Bands are red, green, blue and near-infrared, about 800 nm, everywhere in the simulator.
# Open ocean just below the surface (Morel and Prieur 1977, clear water, rounded).
WATER_REFLECTANCE = np.array([0.004, 0.013, 0.032, 0.002], np.float32)
WATER_REFRACTION_F0 = 0.02  # Fresnel reflectance of water at normal incidence


_COUNTS = np.arange(256, dtype=np.float32)
# Of one count of the mosaic: Blue Marble's tone curve undone: forest about 3 %, the Sahara about 40 %, snow about 80 %.
_TONE = (0.55 * (_COUNTS / 255) ** 1.8 + 0.25 * (_COUNTS / 255) ** 6 + 0.015).astype(np.float32)
# Near infrared of bare ground, from its red; and a factor on it, for snow is darker there than in the visible.
_BARE_NIR = np.float32(1.1) * _TONE + np.float32(0.03)
_SNOW_NIR = 1 - np.float32(0.15) * np.clip((_TONE - np.float32(0.45)) * np.float32(5), 0, 1)
# Lakes are nearly black in Blue Marble; what is white on the sea is ice.
_LAKE = np.clip((26 - _COUNTS) * np.float32(1 / 8), 0, 1)
_NO_ICE = 1 - np.clip((_COUNTS - 120) * np.float32(1 / 40), 0, 1)


def ground_reflectance(
    rgb: NDArray[np.uint8], ocean_share: Grid, view: View, look: Look
) -> tuple[NDArray[np.float32], Grid]:
    """Reflectance (4, H, W) of the ground, and the share of land (H, W).

    rgb: the mosaic's colours (H, W, 3); ocean_share (H, W). The painted sea floor is dropped wherever the mask says
    ocean or the colour says lake; white on the sea stays, as ice.
    """
    height, width = ocean_share.shape
    ground, land_share = np.empty((4, height, width), np.float32), np.empty((height, width), np.float32)
    for rows in strips(height, width):
        red, green, blue = cv2.split(rgb[rows])
        land_share[rows] = 1 - _water_share(red, green, blue, ocean_share[rows])
        _land(red, green, blue, look, out=ground[:, rows])
    if land_share.min() >= 1:
        return ground, land_share
    variation, glint = _water(view, look)
    for rows in strips(height, width):
        land = land_share[rows]
        water = 1 - land
        varied, mirrored = water * variation[rows], water * glint[rows]
        for band, own in zip(ground[:, rows], WATER_REFLECTANCE):
            band *= land
            band += varied * own
            band += mirrored
    return ground, land_share


def _water_share(red: Counts, green: Counts, blue: Counts, ocean_share: Grid) -> Grid:
    brightest = cv2.max(red, green)
    # Inland seas are painted bluer than any land.
    water: Grid = cv2.addWeighted(blue, 1 / 8, brightest, -1.25 / 8, -2 / 8, dtype=cv2.CV_32F)
    np.maximum(water, ocean_share, out=water)
    np.maximum(water, cv2.LUT(cv2.max(brightest, blue), _LAKE), out=water)
    np.minimum(water, 1, out=water)
    water *= cv2.LUT(cv2.min(red, green), _NO_ICE)
    return water


def _land(red: Counts, green: Counts, blue: Counts, look: Look, out: NDArray[np.float32]) -> None:
    """Fill reflectances (4, h, w) of dry ground."""
    for plane, band in zip((red, green, blue), out):
        band[:] = cv2.LUT(plane, _TONE)
    others: Grid = cv2.addWeighted(red, 1, blue, 1, 6, dtype=cv2.CV_32F)
    leaf = green.astype(np.float32)
    # Greenness (2 green - red - blue) / (red + green + blue + 6), of which 0.04 is no leaf yet and 0.44 all leaf.
    leaves = (2 * leaf + 6 - others) / (leaf + others)
    leaves -= np.float32(0.04)
    leaves *= np.float32(1 / 0.4)
    np.clip(leaves, 0, 1, out=leaves)
    nir = cv2.LUT(red, _BARE_NIR)
    leaves *= np.float32(look.vegetation_nir) - nir
    nir += leaves
    np.multiply(nir, cv2.LUT(cv2.min(green, blue), _SNOW_NIR), out=out[3])


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
