"""``nadir index build`` and ``nadir index georeference``."""

import argparse
import math
import shutil
import sys
from pathlib import Path

from tqdm import tqdm

from index_builder.build import BuildOptions, build_pack
from index_builder.extraction import Networks
from index_builder.georeference import georeference
from index_builder.mosaic import Mosaic
from onboard.describer import PatchNetwork
from onboard.mission import load_mission
from onboard.orientation import OrientationNetwork
from onboard.pack import default_network


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    actions = subparsers.add_parser("index", help="turn mosaics into flight packs").add_subparsers(
        metavar="ACTION", required=True
    )
    build = actions.add_parser("build", help="mosaics to flight pack")
    build.add_argument("--mission", required=True, type=Path)
    build.add_argument("--mosaic", required=True, nargs="+", type=Path, metavar="F.tif")
    build.add_argument("--out", required=True, type=Path, metavar="PACK")
    build.add_argument("--budget-mb", type=float, help="MiB of the whole pack (default: the mission's)")
    build.add_argument("--calibration-frames", type=int, default=600, help="mirrored views (default: %(default)s)")
    build.add_argument("--network", metavar="NET.onnx|rootsift", help="describes landmarks (default: the packaged one)")
    build.add_argument(
        "--orientation", type=Path, metavar="NET.onnx", help="turns landmarks (default: the packaged one)"
    )
    build.add_argument("--seed", type=int, default=0)
    build.set_defaults(run=run_build)

    reference = actions.add_parser("georeference", help="give an equirectangular picture its bounds")
    reference.add_argument("picture", type=Path)
    reference.add_argument("--bounds", required=True, nargs=4, type=float, metavar=("WEST", "SOUTH", "EAST", "NORTH"))
    reference.add_argument("--out", required=True, type=Path)
    reference.set_defaults(run=run_georeference)


def run_build(arguments: argparse.Namespace) -> int:
    mission = load_mission(arguments.mission)
    networks = None
    if arguments.network != "rootsift":
        networks = Networks(
            Path(arguments.network or default_network("descriptor")),
            arguments.orientation or default_network("orientation"),
        )
        PatchNetwork(networks.descriptor), OrientationNetwork(networks.orientation)  # refused here, before the work
    options = BuildOptions(arguments.budget_mb, arguments.calibration_frames, arguments.seed, networks)
    bars = Bars()
    acceptance = build_pack(mission, Mosaic(*arguments.mosaic), arguments.out, options, bars)
    bars.close()
    shutil.rmtree(arguments.out.with_name(arguments.out.name + ".work"), ignore_errors=True)
    least = f"a fix takes {math.ceil(acceptance.least_score)} landmarks recognised"
    print(f"{arguments.out}: {least}; see 'nadir pack info'", file=sys.stderr)
    return 0


def run_georeference(arguments: argparse.Namespace) -> int:
    georeference(arguments.picture, tuple(arguments.bounds), arguments.out)
    return 0


class Bars:
    """A progress bar with an estimate for every stage, on a terminal only."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: tqdm | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, unit="step", disable=not sys.stderr.isatty())
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
