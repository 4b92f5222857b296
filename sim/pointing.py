"""How a user says where the camera points: nadir with the mission's sigma, a tumble, or a file of quaternions."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sim.errors import SimError

if TYPE_CHECKING:
    import numpy as np

    from sim.attitude import Attitude
    from sim.attitude_file import AttitudeFile
    from sim.orbit import Orbit


@dataclass(frozen=True)
class Pointing:
    """``file``: what it says; ``tumble_deg_s``: from nadir pointing at the first frame on, turning; neither: nadir
    pointing, its bias and jitter drawn from the mission's sigma."""

    file: "AttitudeFile | None" = None
    tumble_deg_s: float | None = None

    def draw(self, sigma_deg: float, orbit: "Orbit", start: "np.datetime64", rng: "np.random.Generator") -> "Attitude":
        """The attitude of one flight whose first frame is at ``start``."""
        from sim.attitude import draw_pointing, draw_tumble

        if self.file is not None:
            return self.file
        nadir = draw_pointing(sigma_deg, rng)
        if self.tumble_deg_s is None:
            return nadir
        return draw_tumble(nadir, orbit, start, self.tumble_deg_s, rng)


def add_pointing_options(parser: argparse.ArgumentParser) -> None:
    """``--attitude FILE`` and ``--tumble-deg-s R``, one or the other."""
    options = parser.add_mutually_exclusive_group()
    options.add_argument(
        "--attitude", type=Path, metavar="FILE", help="quaternions over time, CSV or JSON lines (default: nadir)"
    )
    options.add_argument("--tumble-deg-s", type=float, metavar="R", help="start at nadir, then turn at R degrees/s")


def pointing_of(arguments: argparse.Namespace) -> Pointing:
    """What the options say; raises SimError."""
    rate = arguments.tumble_deg_s
    if rate is not None and not 0 < abs(rate) <= 60:
        raise SimError(f"--tumble-deg-s {rate:g}: must be above 0 and at most 60")
    if arguments.attitude is None:
        return Pointing(tumble_deg_s=rate)
    from sim.attitude_file import load_attitude

    return Pointing(file=load_attitude(arguments.attitude))
