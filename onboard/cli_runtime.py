"""What the verbs share that run the localizer on pictures: pack, camera and altitude as told, and how they answer."""

import argparse
import math
import sys
from dataclasses import dataclass

from onboard.arguments import named_file, number
from onboard.camera import Camera
from onboard.camera_files import load_camera
from onboard.fix import Fix, Status
from onboard.geodesy import latlon_text
from onboard.localizer import Localizer
from onboard.mission import Mission
from onboard.orbit_state import OrbitState
from onboard.pack import default_pack

# Who names an altitude knows the scale to about this share: orbits are published to a few kilometres, but the focal
# length of a camera that was never calibrated is good to some hundredths, and tells from the altitude by nothing else.
ALTITUDE_SIGMA = 0.03

# Share of the picture's side. Lenses sit within some hundredths of the middle; cx and cy swapped are 12 % off at 4:3.
_OFF_MIDDLE = 0.1

# How a frame ends for a cause that is not what it shows: a file that cannot be read, another camera's picture, damaged
# memory, a fault of the program. Any such frame makes the exit code 1.
UNWELL = (Status.BAD_FRAME, Status.PACK_CORRUPT)


def add_runtime_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pack", type=named_file, help="flight pack (default: $NADIR_PACK, else the packaged one)")
    parser.add_argument("--camera", type=named_file, help="camera file (default: the pack's)")


def add_altitude_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--altitude-km", type=number(50, 100_000), help="height above the ellipsoid (default: the mission's)"
    )


def add_mount_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mount-heading-deg", type=number(-360, 360), metavar="D",
        help="how the camera is held along its orbit, if you know it to a few degrees: azimuth of the picture's up "
        "less that of flight",
    )  # fmt: skip


def open_localizer(arguments: argparse.Namespace) -> Localizer:
    """The runtime that `add_runtime_options` ask for; raises CameraError and PackError."""
    camera = None
    if arguments.camera:
        camera = load_camera(arguments.camera)
        _note_principal_point(camera)
    return Localizer(arguments.pack or default_pack(), camera)


def _note_principal_point(camera: Camera) -> None:
    """One far off the middle may be a shifted sensor's or a crop's; more often cx and cy are swapped."""
    across, down = camera.cx / (camera.width - 1) - 0.5, camera.cy / (camera.height - 1) - 0.5
    if max(abs(across), abs(down)) > _OFF_MIDDLE:
        print(
            f"nadir: note: camera {camera.name}: its principal point ({camera.cx:g}, {camera.cy:g}) is off the middle "
            f"by {across:.0%} of the width and {down:.0%} of the height: are cx and cy right?",
            file=sys.stderr,
        )


def told_altitude_m(altitude_km: float | None, mission: Mission) -> tuple[float, float] | None:
    """An altitude as told on the command line and its sigma. One that the mission does not fly is noted: it may be
    meant, more often pack or camera are another's."""
    if altitude_km is None:
        return None
    altitude_m, sigma_m = altitude_km * 1e3, ALTITUDE_SIGMA * altitude_km * 1e3
    low, high = mission.orbit.altitude_m
    if not low - sigma_m <= altitude_m <= high + sigma_m:
        flies = f"{low / 1e3:g} to {high / 1e3:g} km"
        print(
            f"nadir: note: mission {mission.name} flies at {flies}, --altitude-km is {altitude_km:g}: are pack "
            "and camera those of the picture?",
            file=sys.stderr,
        )
    return altitude_m, sigma_m


def estimates_json(answer: Fix | OrbitState) -> dict[str, float | None]:
    """Where it was taken, for JSON: None where nothing is known."""
    digits = {"lat_deg": 5, "lon_deg": 5, "altitude_m": 0, "heading_deg": 2, "sigma_m": 0}
    values = {name: getattr(answer, name) for name in digits}
    return {name: None if math.isnan(value) else round(value, digits[name]) for name, value in values.items()}


def estimates_text(answer: Fix | OrbitState) -> str:
    """Where it was taken, for people."""
    where = latlon_text(answer.lat_deg, answer.lon_deg, 3)
    return f"{where} ±{answer.sigma_m / 1e3:.1f} km, heading {answer.heading_deg:.0f}°"


@dataclass(frozen=True)
class Progress:
    """A counter on standard error, on a terminal only: the runtime carries no progress library."""

    total: int

    def show(self, number: int) -> None:
        if self.total > 1 and sys.stderr.isatty():
            print(f"\r{number + 1}/{self.total} ", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.total > 1 and sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
