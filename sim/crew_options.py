"""Who does the work of a verb, and from which seed: options that every campaign takes."""

import argparse
import re
from typing import TYPE_CHECKING

from sim.errors import SimError

if TYPE_CHECKING:
    from sim.crew import Crew

_ADDRESS = re.compile(r"((tcp|tls|ucx|wss?)://)?([^/:]+|\[[^/]+\]):\d+")


def add_crew_options(verb: argparse.ArgumentParser) -> None:
    hands = verb.add_mutually_exclusive_group()
    hands.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    hands.add_argument("--scheduler", metavar="ADDR", help="a Dask cluster does the work, such as tcp://host:8786")


def require_seed_and_workers(arguments: argparse.Namespace) -> None:
    """Raises SimError for a seed or a number of workers out of range, or a scheduler that is no address."""
    if arguments.seed < 0:
        raise SimError(f"seed {arguments.seed} is negative")
    if arguments.workers is not None and arguments.workers < 1:
        raise SimError(f"--workers {arguments.workers}: at least one is needed")
    if arguments.scheduler is not None and not _ADDRESS.fullmatch(arguments.scheduler):
        raise SimError(f"--scheduler {arguments.scheduler}: must be an address such as tcp://host:8786")


def crew_of(arguments: argparse.Namespace) -> "Crew":
    from sim.crew import DaskCrew, LocalCrew

    return LocalCrew(arguments.workers) if arguments.scheduler is None else DaskCrew(arguments.scheduler)
