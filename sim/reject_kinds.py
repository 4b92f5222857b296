"""The kinds of frames that should give no fix, or in which any fix must at least be right."""

from dataclasses import dataclass

from sim.scenario import EARTH
from sim.subjects import (
    BARS,
    CHECKERBOARD,
    CRATERED,
    FLIPPED,
    MIRRORED,
    NOISE,
    PAINTED,
    REPEATED,
    STRIPES,
    UNIFORM,
    WRINKLED,
)

DAY_DEG, NIGHT_DEG = (5.0, 90.0), (-90.0, -10.0)


@dataclass(frozen=True)
class Kind:
    """A way to be useless. subjects, altitude_factors (on the mission's altitude) and clouds (kinds of cloud over a
    third to four fifths of the frame) are taken in turn; place: 'land', 'desert', 'fields', 'sea' or 'off-map';
    cloud_cover: None: drawn; misled: the runtime is told a wrong heading."""

    subjects: tuple[str, ...] = (EARTH,)
    place: str = "land"
    sun_deg: tuple[float, float] = DAY_DEG
    cloud_cover: float | None = None
    limb: bool = False
    altitude_factors: tuple[float, ...] = (1.0,)
    clouds: tuple[str, ...] = ()
    misled: bool = False


# Useless at a glance.
REJECT = {
    "ocean": Kind(place="sea"),
    "overcast": Kind(cloud_cover=1.0),
    "night": Kind(sun_deg=NIGHT_DEG),
    "limb": Kind(limb=True),
    "off-map": Kind(place="off-map"),
    "moon-like": Kind(subjects=(MIRRORED, CRATERED), cloud_cover=0.0),
    "garbage": Kind(subjects=(NOISE, UNIFORM, CHECKERBOARD, BARS, STRIPES)),
}

# Full of features that look right.
HARD = {
    "mirrored land": Kind(subjects=(MIRRORED,), cloud_cover=0.0),
    "mirrored deserts": Kind(subjects=(MIRRORED,), place="desert", cloud_cover=0.0),
    "mirrored fields": Kind(subjects=(MIRRORED,), place="fields", cloud_cover=0.0),
    "repeated fields": Kind(subjects=(REPEATED,), place="fields", cloud_cover=0.0),
    "mirrored frames": Kind(subjects=(FLIPPED,)),
    "other worlds": Kind(subjects=(CRATERED, WRINKLED), cloud_cover=0.0),
    "painted sea": Kind(subjects=(PAINTED,), place="sea", cloud_cover=0.0),
    "cloud streets": Kind(place="sea", clouds=("streets", "open cells", "closed cells")),
    "wrong scale": Kind(altitude_factors=(0.6, 1.6), cloud_cover=0.0),
    "wrong heading": Kind(misled=True, cloud_cover=0.0),
    "deserts": Kind(place="desert"),
    "fields": Kind(place="fields"),
}
