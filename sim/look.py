"""The look of one frame: everything drawn at random that is neither place nor pointing."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sim.clouds import CLOUD_KINDS

Matrix3x4 = tuple[tuple[float, ...], ...]

# How a plain colour camera weighs the bands (rows: its R, G, B; columns: red, green, blue, near infrared).
PLAIN_MIX: Matrix3x4 = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))


@dataclass(frozen=True)
class Look:
    """Air, clouds, water and sensor of a frame. The default is a clear day seen by a good camera.

    aerosol: optical depth at 550 nm; cloud_kind: a key of CLOUD_KINDS; cloud_cover: 0 to 1, the expected share;
    cloud_seed: with the anchor (degrees, on the sphere) it fixes every cloud; vegetation_nir: reflectance of leaves
    at 800 nm; wind_m_s: roughens water; mix (3, 4): sensor colours from red, green, blue, nir; exposure: factor on
    the automatic exposure; gamma: of the tone curve; vignetting: loss of light in the corners; blur_px: sigma of
    the optics; full_well_e, read_noise_e: electrons.
    """

    aerosol: float = 0.08
    cloud_kind: str = "cumulus"
    cloud_cover: float = 0.0
    cloud_seed: int = 0
    anchor_lat_deg: float = 0.0
    anchor_lon_deg: float = 0.0
    vegetation_nir: float = 0.32
    wind_m_s: float = 6.0
    mix: Matrix3x4 = PLAIN_MIX
    exposure: float = 1.0
    gamma: float = 2.2
    vignetting: float = 0.15
    blur_px: float = 0.5
    full_well_e: float = 8000.0
    read_noise_e: float = 8.0

    def as_dict(self) -> dict[str, Any]:
        """For the truth file."""
        return asdict(self)


def draw_look(
    rng: np.random.Generator, anchor_lat_deg: float, anchor_lon_deg: float, cloud_cover: float | None = None
) -> Look:
    """A random look over a place. ``cloud_cover``: held there; by default drawn, clear and overcast skies being
    commoner than halves, as they are."""
    drawn_cover = float(rng.beta(0.45, 0.65))
    kinds = sorted(CLOUD_KINDS)
    return Look(
        aerosol=float(np.clip(rng.lognormal(np.log(0.12), 0.6), 0.02, 0.8)),
        cloud_kind=kinds[int(rng.integers(len(kinds)))],
        cloud_cover=drawn_cover if cloud_cover is None else float(cloud_cover),
        cloud_seed=int(rng.integers(2**31)),
        anchor_lat_deg=float(anchor_lat_deg),
        anchor_lon_deg=float(anchor_lon_deg),
        vegetation_nir=float(rng.uniform(0.2, 0.42)),
        wind_m_s=float(rng.uniform(2.0, 12.0)),
        mix=_draw_mix(rng),
        exposure=float(np.exp(rng.normal(0.0, 0.2))),
        gamma=float(rng.uniform(1.7, 2.5)),
        vignetting=float(rng.uniform(0.0, 0.45)),
        blur_px=float(rng.uniform(0.35, 0.9)),
        full_well_e=float(rng.uniform(3000, 15000)),
        read_noise_e=float(rng.uniform(3, 20)),
    )


def _draw_mix(rng: np.random.Generator) -> Matrix3x4:
    """A near-infrared leak (half of the cameras), then the camera's own colour correction: crosstalk or, where
    negative, enhanced saturation; and an imperfect white balance."""
    leak = rng.uniform(0.0, 1.2) * rng.uniform(0.5, 1.0, 3) if rng.random() < 0.5 else np.zeros(3)
    filters = np.column_stack([np.eye(3), leak])
    filters /= filters.sum(axis=1, keepdims=True)
    correction = np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)) + rng.uniform(-0.15, 0.1)
    mix = correction @ filters
    mix /= mix.sum(axis=1, keepdims=True)
    mix *= np.exp(rng.normal(0.0, 0.08, (3, 1)))
    return tuple(tuple(float(value) for value in row) for row in mix)
