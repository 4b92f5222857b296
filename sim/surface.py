"""What the ground sends back: reflectance of land, snow and water in four bands, from the mosaic's colours."""

import numpy as np
from numpy.typing import NDArray

from sim.look import Look
from sim.noise import FractalNoise, plane_m
from sim.view import Grid, View

# Bands in this order everywhere in the simulator; NIR about 800 nm.
BANDS = ("red", "green", "blue", "nir")
# Open ocean just below the surface (Morel and Prieur 1977, clear water, rounded).
WATER_REFLECTANCE = np.array([0.004, 0.013, 0.032, 0.002], np.float32)
WATER_REFRACTION_F0 = 0.02  # Fresnel reflectance of water at normal incidence

# Blue Marble's tone curve undone: forest about 3 %, the Sahara about 40 %, snow about 80 %.
_TONE = np.linspace(0, 1, 256, dtype=np.float32)
_REFLECTANCE = 0.015 + 0.55 * _TONE**1.8 + 0.25 * _TONE**6


def ground_reflectance(
    rgb: NDArray[np.float32], ocean_share: Grid, view: View, look: Look
) -> tuple[NDArray[np.float32], Grid]:
    """Reflectance (H, W, 4) of the ground, and the share of land (H, W).

    rgb: the mosaic's colours (H, W, 3), 0 to 255; ocean_share (H, W). The painted sea floor is dropped wherever the
    mask says ocean or the colour says lake; white on the sea stays, as ice.
    """
    water = _water_share(rgb, ocean_share)
    land = _land(rgb, look)
    if water.max() <= 0:
        return land, 1 - water
    sea = _water(view, look)
    return land + (sea - land) * water[..., None], 1 - water


def _water_share(rgb: NDArray[np.float32], ocean_share: Grid) -> Grid:
    red, green, blue = np.moveaxis(rgb, -1, 0)
    brightest = np.maximum(np.maximum(red, green), blue)
    # Lakes are nearly black in Blue Marble, inland seas painted bluer than any land.
    lake = np.clip((26 - brightest) / 8, 0, 1)
    painted = np.clip((blue - 1.25 * np.maximum(green, red) - 2) / 8, 0, 1)
    ice = np.clip((np.minimum(red, green) - 120) / 40, 0, 1)
    return np.maximum(np.maximum(ocean_share, lake), painted) * (1 - ice)


def _land(rgb: NDArray[np.float32], look: Look) -> NDArray[np.float32]:
    low = rgb.astype(np.uint8)  # the table between two grey levels is straight enough
    part = (rgb - low)[..., :]
    table = np.append(_REFLECTANCE, _REFLECTANCE[-1]).astype(np.float32)
    visible = table[low] + part * (table[low.astype(np.int16) + 1] - table[low])
    red, green, blue = np.moveaxis(visible, -1, 0)
    greenness = np.clip(((2 * rgb[..., 1] - rgb[..., 0] - rgb[..., 2]) / (rgb.sum(-1) + 6) - 0.04) / 0.4, 0, 1)
    bare = 1.1 * red + 0.03
    nir = bare + (look.vegetation_nir - bare) * greenness
    # Snow is darker in the near infrared than in the visible.
    snow = np.clip((np.minimum(green, blue) - 0.45) / 0.2, 0, 1)
    nir = nir * (1 - 0.15 * snow)
    return np.stack([red, green, blue, nir], axis=-1)


def _water(view: View, look: Look) -> NDArray[np.float32]:
    """Water's own colour, slightly patchy, plus the Sun's mirror image (Cox and Munk 1954)."""
    x, y = plane_m(view.ecef_m, look.anchor_lat_deg, look.anchor_lon_deg)
    patches = FractalNoise(look.cloud_seed + 1, longest_m=300e3, hurst=0.6)(x, y, view.footprint_m, coarse=4)
    variation = 1 + 0.18 * patches
    slope_variance = 0.003 + 0.00512 * look.wind_m_s
    tilt = np.maximum(view.glint_tilt, np.float32(0.05))
    tangent2 = 1 / (tilt * tilt) - 1
    facets = np.exp(-tangent2 / slope_variance) / (np.pi * slope_variance)
    lit = np.maximum(view.cos_sun, np.float32(0.05)) * np.maximum(view.cos_view, np.float32(0.05))
    # Schlick's Fresnel term at the facet: half the angle between the Sun and the camera.
    half = np.sqrt(np.maximum(0, (1 - view.cos_scatter) / 2))
    fresnel = WATER_REFRACTION_F0 + (1 - WATER_REFRACTION_F0) * (1 - half) ** 5
    glint = np.where(view.cos_sun > 0, np.pi * fresnel * facets / (4 * lit * tilt**4), 0)
    return WATER_REFLECTANCE * variation[..., None] + np.minimum(glint, 3.0)[..., None]
