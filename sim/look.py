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
    cirrus_cover: likewise, of thin clouds above them;
    cloud_seed: with the anchor (degrees, on the sphere) it fixes every cloud; vegetation_nir: reflectance of leaves
    at 800 nm; wind_m_s: roughens water; mix (3, 4): sensor colours from red, green, blue, nir; exposure: factor on
    the automatic exposure; gamma: of the tone curve; vignetting: loss of light in the corners; blur_px: sigma of
    the optics; full_well_e, read_noise_e: electrons.

    season: part of the year (`season.recolour`), None: the mosaic's own; ground_change: of colours since the mosaic
    was made, standard deviation of the logarithm; veil: stray light, share of the mean; white_balance: how far the
    camera goes to make the bright parts grey, 0 to 1; exposure_s: the shutter is open; readout_s: from the first row
    read to the last (rolling shutter), both with the ground passing along track_deg (direction of flight, clockwise
    from the picture's up) and the camera turning at turn_rad_s (its axes); hot_pixels: share of them; bayer: one
    colour a pixel; denoise, sharpen: strength of the camera's own; jpeg_quality: 1 to 100, 0 for none.
    """

    aerosol: float = 0.08
    cloud_kind: str = "cumulus"
    cloud_cover: float = 0.0
    cloud_seed: int = 0
    cirrus_cover: float = 0.0
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
    season: float | None = None
    ground_change: float = 0.0
    veil: float = 0.0
    white_balance: float = 0.0
    exposure_s: float = 0.0
    readout_s: float = 0.0
    track_deg: float = 0.0
    turn_rad_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hot_pixels: float = 0.0
    bayer: bool = False
    denoise: float = 0.0
    sharpen: float = 0.0
    jpeg_quality: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the truth file."""
        return asdict(self)


def draw_look(
    rng: np.random.Generator,
    anchor_lat_deg: float,
    anchor_lon_deg: float,
    cloud_cover: float | None = None,
    season: float | None = None,
) -> Look:
    """A random look over a place. ``cloud_cover`` and ``season`` (part of the year): held there; by default drawn,
    clear and overcast skies being commoner than halves, as they are."""
    drawn_cover = float(rng.beta(0.45, 0.65))
    cover = drawn_cover if cloud_cover is None else float(cloud_cover)
    kinds = sorted(CLOUD_KINDS)
    return Look(
        aerosol=float(np.clip(rng.lognormal(np.log(0.12), 0.6), 0.02, 0.8)),
        cloud_kind=kinds[int(rng.integers(len(kinds)))],
        cloud_cover=cover,
        cloud_seed=int(rng.integers(2**31)),
        # A clear sky stays clear above, too.
        cirrus_cover=float(rng.uniform(0.0, min(0.6, cover))) if rng.random() < 0.3 else 0.0,
        anchor_lat_deg=float(anchor_lat_deg),
        anchor_lon_deg=float(anchor_lon_deg),
        vegetation_nir=float(rng.uniform(0.2, 0.42)),
        wind_m_s=float(rng.uniform(2.0, 12.0)),
        mix=_draw_mix(rng),
        exposure=float(np.exp(rng.normal(0.0, 0.2))),
        gamma=float(rng.uniform(1.8, 2.9)),
        vignetting=float(rng.uniform(0.0, 0.45)),
        blur_px=float(rng.uniform(0.35, 0.9)),
        full_well_e=float(np.exp(rng.uniform(np.log(1000), np.log(15000)))),
        read_noise_e=float(rng.uniform(3, 20)),
        season=float(rng.uniform() if season is None else season),
        ground_change=float(rng.uniform(0.02, 0.15)),
        veil=float(rng.uniform(0.0, 0.6) ** 2),
        white_balance=float(rng.uniform(0.0, 1.0)),
        exposure_s=float(np.exp(rng.uniform(np.log(2e-4), np.log(8e-3)))),
        readout_s=float(rng.uniform(0.0, 0.06)) if rng.random() < 0.7 else 0.0,
        track_deg=float(rng.uniform(0.0, 360.0)),
        turn_rad_s=tuple(rng.normal(0.0, 1e-3, 3).tolist()),
        hot_pixels=float(np.exp(rng.uniform(np.log(1e-7), np.log(3e-5)))),
        bayer=bool(rng.random() < 0.7),
        denoise=float(rng.uniform(0.0, 1.0)) if rng.random() < 0.5 else 0.0,
        sharpen=float(rng.uniform(0.0, 3.0)),
        jpeg_quality=int(rng.integers(70, 99)) if rng.random() < 0.7 else 0,
    )


def _draw_mix(rng: np.random.Generator) -> Matrix3x4:
    """A near-infrared leak (half of the cameras), then the camera's own colour correction: crosstalk or, where
    negative, enhanced saturation; and an imperfect white balance."""
    leak = rng.uniform(0.0, 2.0) * rng.uniform(0.4, 1.0, 3) if rng.random() < 0.5 else np.zeros(3)
    filters = np.column_stack([np.eye(3), leak])
    filters /= filters.sum(axis=1, keepdims=True)
    correction = np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3)) + rng.uniform(-0.1, 0.1)
    mix = correction @ filters
    mix /= mix.sum(axis=1, keepdims=True)
    mix *= np.exp(rng.normal(0.0, 0.06, (3, 1)))
    return tuple(tuple(float(value) for value in row) for row in mix)
