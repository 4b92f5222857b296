"""What the verbs of ``nadir export`` share: the Earth in memory, files to write, the record of the arguments."""

import argparse
from pathlib import Path
from typing import Any

from export.progress import Bar
from onboard.arguments import whole
from onboard.plugins import service


def earth_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mosaic", type=Path, required=True, nargs="+", metavar="F.tif")
    parser.add_argument("--month", type=Path, nargs="*", default=[], metavar="PICTURE",
                        help="the whole Earth in another season, equirectangular, for looks")  # fmt: skip
    parser.add_argument(
        "--earth-px", type=whole(360), default=16200, help="columns kept in memory (default: %(default)s)"
    )
    parser.add_argument("--seed", type=whole(0), default=0)


def studio(arguments: argparse.Namespace, span_m: float, size: int) -> Any:
    """The renderer of looks (`export.looks.Studio`) of ``earth_arguments``."""
    from export.earth import load_earth
    from export.looks import Studio
    from export.noise import Noise

    with Bar("reading the mosaic", 1) as bar:
        earth = load_earth(service("mosaic")(*arguments.mosaic), arguments.earth_px, tuple(arguments.month), bar.told)
    return Studio(earth, Noise(arguments.seed), span_m, size)


def settings_of(arguments: argparse.Namespace) -> dict[str, str]:
    return {key: str(value) for key, value in vars(arguments).items() if key != "run"}
