"""``nadir track``: where each picture of a pass was taken, by all of them together."""

import argparse
import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from onboard.arguments import keep_inputs, named_file, output_file
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
from onboard.errors import ImageError
from onboard.fix import Fix, Status
from onboard.frame_list import COLUMNS, TABLE, TimedImage, read_frame_list
from onboard.images import as_utf8, read_image
from onboard.orbit_state import OrbitState
from onboard.pass_drawing import draw_pass
from onboard.tracker import Tracker
from onboard.whole_pass import whole_pass


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("track", help="tell where the images of a pass were taken, by all of them together")
    parser.add_argument(
        "list", type=named_file, metavar="FRAMES.csv",
        help=f"what was taken when: columns {' and '.join(COLUMNS)}, files beside it (or a folder with one of that "
        "name); the camera must be held alike along the track",
    )  # fmt: skip
    add_runtime_options(parser)
    add_altitude_option(parser)
    add_mount_option(parser)
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout")
    parser.add_argument("--map", type=output_file, metavar="PNG", help="draw the pass on a map of the world")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 if a frame's own status is of UNWELL."""
    images = read_frame_list(arguments.list)
    if arguments.map:
        told = [arguments.list, arguments.list / TABLE, *filter(None, [arguments.camera])]
        keep_inputs(arguments.map, [*told, *(image.path for image in images)])
    localizer = open_localizer(arguments)
    altitude_m = told_altitude_m(arguments.altitude_km, localizer.mission)
    progress = Progress(len(images))
    unread: dict[int, str] = {}

    def frames() -> Iterator[tuple[NDArray[np.uint8] | None, int]]:
        for place, image in enumerate(images):
            progress.show(place)
            frame = None
            try:
                frame = read_image(image.path)
            except ImageError as error:
                unread[image.timestamp_ns] = str(error).removeprefix(f"{image.path}: ")
            yield frame, image.timestamp_ns

    states = whole_pass(Tracker(localizer, arguments.mount_heading_deg), frames(), altitude_m)
    progress.clear()
    for image, state in zip(images, states, strict=True):
        reason = unread.get(image.timestamp_ns, state.reason)
        print(json.dumps(as_json(image, state, reason)) if arguments.json else as_text(image, state, reason))
    if arguments.map:
        names = [image.path.name for image in images]
        draw_pass(arguments.map, localizer.catalogue, localizer.mission.latitude_band_deg, names, states)
    return 1 if any(_alone(state) in UNWELL for state in states) else 0


def as_json(image: TimedImage, state: OrbitState, reason: str) -> dict[str, object]:
    """The fields that README names; estimates are None while the status is SEARCHING."""
    return {
        "image": as_utf8(image.path),
        "time_utc": image.time_utc,
        "status": state.status.value,
        **estimates_json(state),
        "mount_heading_deg": round(state.mount_heading_deg, 1) if state else None,
        "false_track_probability": state.false_track_probability if state else None,
        "frame_status": _alone(state).value,
        "frame_fix": _fix_json(state.fix) if state.fix else None,
        "reason": reason or None,
    }


def _fix_json(fix: Fix) -> dict[str, float | None]:
    return {**estimates_json(fix), "false_fix_probability": fix.false_fix_probability}


def as_text(image: TimedImage, state: OrbitState, reason: str) -> str:
    if state:
        told = f"{estimates_text(state)}: {reason}"
    elif state.fix:  # no orbit yet, but the frame's own fix is known
        told = f"{reason}: {estimates_text(state.fix)}"
    else:
        told = reason
    return f"{image.path}: {state.status.value}: {told}"


def _alone(state: OrbitState) -> Status:
    """How the frame ended by itself; a file that cannot be read is no frame."""
    return Status.BAD_FRAME if state.fix is None else state.fix.status
