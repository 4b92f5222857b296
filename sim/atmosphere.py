"""Daylight and air: how bright a surface looks from above the atmosphere.

Single scattering in one plane-parallel layer with the air mass of a round Earth: right to some ten per cent for
the looks that matter here, and cheap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.view import Grid, View

# Rayleigh optical depth at sea level (Hansen and Travis 1974) at 650, 550, 450 and 800 nm.
RAYLEIGH_DEPTH = np.array([0.049, 0.097, 0.221, 0.021], np.float32)
# Aerosol optical depth relative to 550 nm: Angstrom exponent 1.2.
AEROSOL_SPECTRUM = (np.array([650, 550, 450, 800], np.float32) / 550) ** -1.2
AEROSOL_ALBEDO, AEROSOL_ASYMMETRY = 0.93, 0.65
# Above the tops of low clouds is still this share of the air, and hardly any aerosol.
AIR_ABOVE_CLOUDS = 0.75


@dataclass(frozen=True, eq=False)
class Air:
    """At the nodes of a view: path (4, h, w): reflectance of the air itself; through (4, h, w): share of the light that
    makes it down to the ground and up; through_above: likewise to the clouds; daylight (h, w): the Sun's light on a
    level surface, 1 under a zenith Sun."""

    path: NDArray[np.float32]
    through: NDArray[np.float32]
    through_above: NDArray[np.float32]
    daylight: Grid


def air_of(view: View, aerosol: float) -> Air:
    """The air along every ray; ``aerosol``: optical depth at 550 nm."""
    cos_view, cos_sun = view.cos_view, view.cos_sun
    mass = _air_mass(cos_view) + _air_mass(cos_sun)
    rayleigh_phase = np.float32(0.75) * (1 + view.cos_scatter**2)
    g = np.float32(AEROSOL_ASYMMETRY)
    aerosol_phase = (1 - g * g) / (1 + g * g - 2 * g * view.cos_scatter) ** np.float32(1.5)
    depth_aerosol = (aerosol * AEROSOL_SPECTRUM).astype(np.float32)
    depth = RAYLEIGH_DEPTH + depth_aerosol

    path = np.empty((4, *mass.shape), np.float32)
    through, through_above = np.empty_like(path), np.empty_like(path)
    # One over 4 (cos_view + cos_sun), kept finite at the horizon the same way as the air mass.
    geometry = np.float32(0.25) / (np.maximum(cos_view, np.float32(0.03)) + np.maximum(cos_sun, np.float32(0.06)))
    for band in range(4):
        by_air = RAYLEIGH_DEPTH[band] / depth[band]
        by_aerosol = np.float32(AEROSOL_ALBEDO) * depth_aerosol[band] / depth[band]
        phase = by_air * rayleigh_phase + by_aerosol * aerosol_phase
        path[band] = phase * geometry * (1 - np.exp(-depth[band] * mass))
        # Half of what is scattered out of the beam goes on downward (Rayleigh); nearly all of it for aerosol.
        loss = np.float32(0.5 * RAYLEIGH_DEPTH[band] + 0.18 * depth_aerosol[band])
        through[band] = np.exp(-loss * mass)
        through_above[band] = np.exp(np.float32(-0.5 * AIR_ABOVE_CLOUDS * RAYLEIGH_DEPTH[band]) * mass)
    return Air(path, through, through_above, _daylight(cos_sun))


def _air_mass(cosine: Grid) -> Grid:
    """Air mass at a zenith angle (Rozenberg 1966): finite at the horizon, where it is 40."""
    c = np.maximum(cosine, 0)
    return 1 / (c + np.float32(0.025) * np.exp(-11 * c))


def _daylight(cos_sun: Grid) -> Grid:
    """The cosine of the Sun by day; below the horizon twilight fades tenfold every 3 degrees, to night."""
    twilight = np.float32(0.012) * np.exp(np.minimum(cos_sun, 0) * np.float32(44.0))
    return np.where(np.isfinite(cos_sun), np.maximum(cos_sun, 0) + twilight, 0)
