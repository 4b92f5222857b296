"""How a user says where the camera points: nadir with the mission's sigma, a tumble, or a file of quaternions."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onboard.arguments import number
from sim.errors import SimError

if TYPE_CHECKING:
    import numpy as np

    from onboard.mission import Mission
    from sim.attitude import Attitude
    from sim.attitude_file import AttitudeFile
    from sim.orbit import Orbit


@dataclass(frozen=True)
class Pointing:
    """``file``: what it says; ``tumble_deg_s``: from the mission's pointing at the first frame on, turning; neither:
    the camera held to the nadir as the mission mounts it, bias and jitter drawn from the mission's sigma."""

    file: "AttitudeFile | None" = None
    tumble_deg_s: float | None = None

    def draw(
        self, mission: "Mission", orbit: "Orbit", start: "np.datetime64", rng: "np.random.Generator"
    ) -> "Attitude":
        """The attitude of one flight whose first frame is at ``start``."""
        from sim.attitude import draw_pointing, draw_tumble

        if self.file is not None:
            return self.file
        steady = draw_pointing(mission.pointing_sigma_deg, rng, mission.down_cam)
        if self.tumble_deg_s is None:
            return steady
        return draw_tumble(steady, orbit, start, self.tumble_deg_s, rng)


def add_pointing_options(parser: argparse.ArgumentParser) -> None:
    """``--attitude FILE`` and ``--tumble-deg-s R``, one or the other."""
    options = parser.add_mutually_exclusive_group()
    options.add_argument(
        "--attitude", type=Path, metavar="FILE", help="quaternions over time, CSV or JSON lines (default: as mounted)"
    )
    options.add_argument(
        "--tumble-deg-s", type=number(-60, 60), metavar="R", help="start as mounted, then turn at R degrees/s"
    )


def pointing_of(arguments: argparse.Namespace) -> Pointing:
    """What the options say; raises SimError."""
    rate = arguments.tumble_deg_s
    if rate == 0:
        raise SimError("--tumble-deg-s 0: give a rate to turn at, or leave it out")
    if arguments.attitude is None:
        return Pointing(tumble_deg_s=rate)
    from sim.attitude_file import load_attitude

    return Pointing(file=load_attitude(arguments.attitude))
