"""``nadir sim learn-season``: the simulator's seasons from mosaics of other months."""

import argparse
import sys
from pathlib import Path

from onboard import plugins


def add_learn_season(actions: argparse._SubParsersAction) -> None:
    verb = actions.add_parser("learn-season", help="learn snow and vegetation through the year from other months")
    verb.add_argument("--mosaic", required=True, nargs="+", type=Path, metavar="F.tif", help="August, the whole globe")
    verb.add_argument("--early-summer", required=True, type=Path, metavar="PICTURE", help="globe, north up, from 180 W")
    verb.add_argument("--december", required=True, type=Path, metavar="PICTURE", help="likewise")
    verb.add_argument("--out", required=True, type=Path, metavar="F.npz")
    verb.set_defaults(run=run_learn_season)


def run_learn_season(arguments: argparse.Namespace) -> int:
    from sim.season_learning import learn_season

    mosaic = plugins.service("mosaic")(*arguments.mosaic)
    learned = learn_season(mosaic, arguments.early_summer, arguments.december, arguments.out)
    print(
        f"{arguments.out}: {learned['bytes'] / 1024:.0f} KiB; half of the land changes by more than "
        f"{learned['median_abs_log_gain']:.0%} towards December",
        file=sys.stderr,
    )
    return 0
