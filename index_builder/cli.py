"""``nadir index build``, ``nadir index calibrate`` and ``nadir index georeference``."""

import argparse
import sys
from pathlib import Path

from index_builder.build import CALIBRATION_FRAMES, BuildOptions, build_pack, recalibrate_pack
from index_builder.crew import OnCluster, on_all_cores
from index_builder.extraction import Networks
from index_builder.georeference import georeference
from index_builder.mosaic import Mosaic
from index_builder.progress import Stages
from onboard.acceptance import UNCALIBRATED, Acceptance
from onboard.arguments import keep_inputs, number, whole
from onboard.describer import PatchNetwork
from onboard.errors import UsageError
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
    build.add_argument("--budget-mb", type=number(0.1), help="MiB of the whole pack (default: the mission's)")
    _add_frames(build, "--calibration-frames")
    build.add_argument("--network", metavar="NET.onnx|rootsift", help="describes landmarks (default: the packaged one)")
    build.add_argument(
        "--orientation", type=Path, metavar="NET.onnx", help="turns landmarks (default: the packaged one)"
    )
    build.add_argument("--seed", type=whole(0), default=0)
    build.add_argument("--scheduler", metavar="ADDR", help="a Dask cluster does the work, such as tcp://host:8786")
    build.set_defaults(run=run_build)

    calibrate = actions.add_parser("calibrate", help="draw a pack's acceptance anew, for another runtime")
    calibrate.add_argument("pack", type=Path, metavar="PACK", help="replaced when all is done")
    calibrate.add_argument("--mosaic", required=True, nargs="+", type=Path, metavar="F.tif", help="the pack's own")
    _add_frames(calibrate, "--frames")
    calibrate.add_argument("--seed", type=whole(0), default=0)
    calibrate.set_defaults(run=run_calibrate)

    reference = actions.add_parser("georeference", help="give an equirectangular picture its bounds")
    reference.add_argument("picture", type=Path)
    reference.add_argument(
        "--bounds", required=True, nargs=4, type=number(-360, 360), metavar=("WEST", "SOUTH", "EAST", "NORTH")
    )
    reference.add_argument("--out", required=True, type=Path)
    reference.set_defaults(run=run_georeference)


def run_build(arguments: argparse.Namespace) -> int:
    if arguments.network == "rootsift" and arguments.orientation:
        raise UsageError("--orientation turns landmarks for a network; rootsift turns them itself: leave it out")
    mission = load_mission(arguments.mission)
    networks = None
    if arguments.network != "rootsift":
        networks = Networks(
            Path(arguments.network or default_network("descriptor")).absolute(),
            Path(arguments.orientation or default_network("orientation")).absolute(),
        )
        PatchNetwork(networks.descriptor), OrientationNetwork(networks.orientation)  # refused here, before the work
    crew = OnCluster(arguments.scheduler) if arguments.scheduler else on_all_cores
    options = BuildOptions(arguments.budget_mb, arguments.calibration_frames, arguments.seed, networks, crew)
    stages = Stages()
    acceptance = build_pack(mission, Mosaic(*arguments.mosaic), arguments.out, options, stages)
    stages.close()
    _tell(arguments.out, acceptance)
    return 0


def run_calibrate(arguments: argparse.Namespace) -> int:
    stages = Stages()
    acceptance = recalibrate_pack(arguments.pack, Mosaic(*arguments.mosaic), arguments.frames, arguments.seed, stages)
    stages.close()
    _tell(arguments.pack, acceptance)
    return 0


def _add_frames(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(name, type=whole(1), default=CALIBRATION_FRAMES, help="mirrored views (default: %(default)s)")


def _tell(pack: Path, acceptance: Acceptance) -> None:
    least = f"a fix takes {acceptance.least_score:.1f} landmarks recognised, a quarter each in a line"
    print(f"{pack}: {UNCALIBRATED if acceptance.nothing else least}; see 'nadir pack info'", file=sys.stderr)


def run_georeference(arguments: argparse.Namespace) -> int:
    keep_inputs(arguments.out, [arguments.picture])
    georeference(arguments.picture, tuple(arguments.bounds), arguments.out)
    return 0
