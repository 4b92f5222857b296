"""What every verb asks that flies a mission: the map below, times, weather and seed, where the camera points."""

import argparse
from pathlib import Path

from onboard.arguments import number, utc, whole
from sim.pointing import add_pointing_options

EVERY_S = 60.0


def add_flight_options(verb: argparse.ArgumentParser, rerun: str, every_s: float | None = EVERY_S) -> None:
    """rerun: what another run into the same folder does, for people; every_s: None where not every flight has a beat
    of its own."""
    verb.add_argument("--mission", required=True, type=Path, metavar="M.yaml", help="camera and orbit, as of the pack")
    verb.add_argument("--mosaic", required=True, nargs="+", type=Path, metavar="F.tif", help="what the camera sees")
    verb.add_argument("--out", required=True, type=Path, metavar="DIR", help=f"a rerun {rerun}")
    verb.add_argument(
        "--every-s", type=number(0.01, 1e7), default=every_s, metavar="S",
        help=f"seconds between frames of an orbit (default: {EVERY_S:g})",
    )  # fmt: skip
    verb.add_argument(
        "--start", type=utc, metavar="ISO-UTC", help="time of the first frame (default: the TLE's epoch, or fixed)"
    )
    verb.add_argument("--clouds", type=number(0, 1), metavar="0..1", help="cloud cover of every frame (default: drawn)")
    verb.add_argument("--seed", type=whole(0), default=0, help="another seed, another orbit and weather (default: 0)")
    add_pointing_options(verb)
