"""Who does the work of a campaign."""

import argparse
import re
from typing import TYPE_CHECKING

from onboard.arguments import whole

if TYPE_CHECKING:
    from sim.crew import Crew

_ADDRESS = re.compile(r"((tcp|tls|ucx|wss?)://)?([^/:]+|\[[^/]+\]):\d+")


def add_crew_options(verb: argparse.ArgumentParser) -> None:
    hands = verb.add_mutually_exclusive_group()
    hands.add_argument("--workers", type=whole(1), metavar="N", help="processes (default: one a core)")
    hands.add_argument(
        "--scheduler", type=_address, metavar="ADDR", help="a Dask cluster does the work, such as tcp://host:8786"
    )


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text}: must be an address such as tcp://host:8786")
    return text


def crew_of(arguments: argparse.Namespace) -> "Crew":
    from sim.crew import DaskCrew, LocalCrew

    return LocalCrew(arguments.workers) if arguments.scheduler is None else DaskCrew(arguments.scheduler)
