"""``nadir localize``: one line an image."""

import argparse
import json
import math

from onboard.arguments import named_file, number
from onboard.cli_runtime import (
    UNWELL,
    Progress,
    add_altitude_option,
    add_mount_option,
    add_runtime_options,
    estimates_json,
    estimates_text,
    open_localizer,
    told_altitude_m,
)
from onboard.drawing import Picture
from onboard.errors import ImageError, UsageError
from onboard.explain_page import Page
from onboard.fix import Fix, Prior, Status, Vertical, no_fix
from onboard.images import as_utf8, image_paths, read_image
from onboard.intake import Rejected
from onboard.localizer import Localizer
from onboard.plugins import service

_NEAR_KM = 0.001, 20_000  # nothing is known better; farther off is nowhere on Earth


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("localize", help="tell where images were taken")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files or directories; - reads standard input")
    add_runtime_options(parser)
    add_altitude_option(parser)
    add_mount_option(parser)
    parser.add_argument(
        "--off-nadir-deg", type=number(0, 90), metavar="T", help="tilt of the camera (default: the mission's)"
    )
    parser.add_argument(
        "--off-nadir-direction-deg", type=number(-360, 360), metavar="D",
        help="where the ground recedes towards the horizon, clockwise from the picture's up (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--off-nadir-sigma-deg",
        type=number(0.001, 5),
        metavar="S",
        help="1-sigma of the tilt, 5 at most (default: the mission's pointing)",
    )
    parser.add_argument(
        "--near", type=float, nargs=3, metavar=("LAT", "LON", "KM"),
        help="where it was taken as far as you know, and how well (1-sigma): more is found, and nothing elsewhere",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout")
    parser.add_argument(
        "--explain", type=named_file, metavar="DIR", help="write there what was seen in each image, and why"
    )
    parser.add_argument(
        "--mosaic", type=named_file, metavar="F.tif", help="with --explain: draw this map beside the frame"
    )
    parser.set_defaults(run=run)


def _require_tilt(arguments: argparse.Namespace) -> None:
    described = arguments.off_nadir_direction_deg is not None or arguments.off_nadir_sigma_deg is not None
    if arguments.off_nadir_deg is None and described:
        raise UsageError("--off-nadir-direction-deg and --off-nadir-sigma-deg describe a tilt: add --off-nadir-deg")


def _vertical(arguments: argparse.Namespace, pointing_sigma_deg: float) -> Vertical | None:
    off, sigma = arguments.off_nadir_deg, arguments.off_nadir_sigma_deg
    if off is None:
        return None
    sigma_rad = math.radians(pointing_sigma_deg if sigma is None else sigma)
    return Vertical.off_nadir(off, arguments.off_nadir_direction_deg or 0.0, sigma_rad)


def _require_ground(localizer: Localizer, altitude_m: tuple[float, float] | None, vertical: Vertical | None) -> None:
    """Told of all pictures alike, so told wrong of all: better refused before the first."""
    try:
        localizer.knowledge(altitude_m, vertical=vertical)
    except Rejected as error:
        raise UsageError(f"{'--altitude-km' if vertical is None else '--off-nadir-deg'}: {error}") from error


def _prior(near: list[float] | None) -> Prior | None:
    if near is None:
        return None
    lat, lon, sigma_km = near
    low, high = _NEAR_KM
    if not (abs(lat) <= 90 and abs(lon) <= 360 and low <= sigma_km <= high):
        raise UsageError(f"--near takes latitude and longitude in degrees, and {low:g} to {high:g} kilometres")
    return Prior(lat, lon, sigma_km * 1e3)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 if a status is of UNWELL."""
    if arguments.mosaic and not arguments.explain:
        raise UsageError("--mosaic draws the map of an explanation: add --explain DIR")
    _require_tilt(arguments)
    prior = _prior(arguments.near)
    paths = list(image_paths(arguments.images))
    localizer = open_localizer(arguments)
    altitude_m = told_altitude_m(arguments.altitude_km, localizer.mission)
    vertical = _vertical(arguments, localizer.mission.pointing_sigma_deg)
    _require_ground(localizer, altitude_m, vertical)
    page = _page(arguments, paths, localizer) if arguments.explain else None
    unwell = False
    progress = Progress(len(paths))
    for place, path in enumerate(paths):
        progress.show(place)
        try:
            frame = read_image(path)
        except ImageError as error:
            fix = no_fix(Status.BAD_FRAME, str(error).removeprefix(f"{path}: "))
        else:
            evidence = localizer.examine(
                frame, altitude_m=altitude_m, vertical=vertical, prior=prior,
                mount_heading_deg=arguments.mount_heading_deg,
            )  # fmt: skip
            fix = evidence.fix
            if page is not None:
                page.write(path, frame, evidence)
        progress.clear()
        unwell = unwell or fix.status in UNWELL
        print(json.dumps(as_json(path, fix)) if arguments.json else as_text(path, fix), flush=True)
    return 1 if unwell else 0


def _page(arguments: argparse.Namespace, paths: list[str], localizer: Localizer) -> Page:
    if arguments.mosaic is None:
        return Page(arguments.explain, paths, localizer, None)
    mosaic, local_map = service("mosaic")(arguments.mosaic), service("local_map")

    def read(centre_deg: tuple[float, float], gsd_m: float, half_width: int, half_height: int) -> Picture | None:
        around = local_map(mosaic, centre_deg, gsd_m, half_width, half_height)
        return None if around is None else around.rgb

    return Page(arguments.explain, paths, localizer, read)


def as_json(path: str, fix: Fix) -> dict[str, object]:
    """The fields that README names; estimates are None unless the status is FIX."""
    return {
        "image": as_utf8(path),
        "status": fix.status.value,
        **estimates_json(fix),
        "false_fix_probability": None if math.isnan(fix.false_fix_probability) else fix.false_fix_probability,
        "inliers": fix.inliers,
        "latency_ms": round(fix.timings_ms.get("total", 0.0), 1),
        "reason": fix.reason or None,
    }


def as_text(path: str, fix: Fix) -> str:
    if fix.status is not Status.FIX:
        return f"{path}: {fix.status.value}: {fix.reason}"
    chance = f"false-fix probability {fix.false_fix_probability:.1g}"
    return f"{path}: FIX: {estimates_text(fix)}, {fix.inliers} inliers, {chance}"
