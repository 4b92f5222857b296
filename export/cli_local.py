"""``nadir export pairs | local | views | orientation``: the networks that describe and turn keypoints."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.json_file import write_json
from export.progress import Bar
from onboard.arguments import number, whole

# Of AdamW, for either network.
RATE, WEIGHT_DECAY, WARMUP = 2e-3, 1e-3, 100


def add_actions(actions: argparse._SubParsersAction) -> None:
    pairs = actions.add_parser("pairs", help="simulated frames to pairs of patches, the descriptor's training data")
    pairs.set_defaults(run=run_pairs)
    views = actions.add_parser("views", help="simulated frames with the map laid over them, the orientation's")
    views.set_defaults(run=run_views)
    for data in (pairs, views):
        data.add_argument("--mosaic", type=Path, required=True, nargs="+", metavar="F.tif", help="what frames show")
        data.add_argument("--map", type=Path, nargs="+", metavar="F.tif", help="of another season (default: the same)")
        data.add_argument("--out", type=Path, required=True, metavar="DIR", help="of shards; resumed from them")
        data.add_argument("--places", type=whole(1), default=1000, help="frames are taken at (default: %(default)s)")
        data.add_argument("--looks", type=whole(1), default=4, help="frames at each (default: %(default)s)")
        data.add_argument(
            "--gsd-m", type=number(1, 50_000), default=930.0, help="of the catalogue (default: %(default)s)"
        )
        data.add_argument(
            "--altitude-km", type=number(100, 50_000), default=405.0, help="of the frames (default: %(default)s)"
        )
        data.add_argument("--seed", type=whole(0), default=0)

    local = actions.add_parser("local", help="pairs to descriptor.onnx, the network that describes keypoints")
    local.add_argument("--pairs", type=Path, required=True, nargs="+", metavar="DIR", help="measured on the first's")
    local.set_defaults(run=run_local, extra="train")
    orientation = actions.add_parser("orientation", help="views to orientation.onnx, the network that turns keypoints")
    orientation.add_argument("--views", type=Path, required=True, nargs="+", metavar="DIR")
    orientation.set_defaults(run=run_orientation, extra="train")
    for network, steps in ((local, 6000), (orientation, 2000)):
        network.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help="holds the checkpoint; resumed from it"
        )
        network.add_argument("--steps", type=whole(1), default=steps, help="of 512 pairs (default: %(default)s)")
        network.add_argument("--threads", type=whole(1), default=2)
        network.add_argument("--seed", type=whole(0), default=0)


def run_pairs(arguments: argparse.Namespace) -> int:
    from export.training_data import write_pairs

    return _written(arguments, write_pairs, "pairs")


def run_views(arguments: argparse.Namespace) -> int:
    from export.training_data import write_views

    return _written(arguments, write_views, "views")


def _written(arguments: argparse.Namespace, write: Callable, what: str) -> int:
    from export.training_looks import Earths, LookSettings

    earths = Earths(tuple(arguments.mosaic), tuple(arguments.map or arguments.mosaic))
    altitude_m = arguments.altitude_km * 1e3
    settings = LookSettings(arguments.gsd_m, altitude_m, arguments.places, arguments.looks, seed=arguments.seed)
    with Bar("places", arguments.places) as bar:

        def show(done: int, total: int, items: int) -> None:
            bar.set_postfix({what: items}, refresh=False)
            bar.told(done, total)

        write(earths, settings, arguments.out, show)
    return 0


def run_orientation(arguments: argparse.Namespace) -> int:
    from export.orientation_network import write_orientation
    from export.orientation_train import OrientationRecipe, OrientationSettings, fit_shares
    from export.shards import HELD_OUT, TRAINING, digest, read_shards
    from export.views import Views

    views, held_out = (read_shards(arguments.views, name, Views) for name in (TRAINING, HELD_OUT))
    settings = OrientationSettings(seed=arguments.seed)
    recipe = OrientationRecipe(views, settings)
    configuration = {"orientation": asdict(settings), "views": len(views), "keypoints": len(views.view),
                     "sha256": digest(views)}  # fmt: skip
    _fit(arguments, recipe, configuration)
    shares = fit_shares(recipe.network, held_out, 20_000, 3, arguments.seed)
    write_json(arguments.out / "report.json", {**configuration, "fits_by_directions": shares})
    write_orientation(recipe.network, arguments.out / "orientation.onnx")
    told = ", ".join(f"{share:.1%}" for share in shares)
    print(f"{arguments.out / 'orientation.onnx'}: one, two, three directions fit {told}", file=sys.stderr)
    return 0


def run_local(arguments: argparse.Namespace) -> int:
    from export.keypoint_pairs import PatchPairs
    from export.patch_evaluate import inner_patches, read_held_out, report_patches
    from export.patch_network import write_descriptor
    from export.patch_train import PatchRecipe, PatchTrainSettings
    from export.shards import TRAINING, digest, read_shards

    pairs, settings = read_shards(arguments.pairs, TRAINING, PatchPairs), PatchTrainSettings(seed=arguments.seed)
    held_out = read_held_out(arguments.pairs[:1])
    recipe = PatchRecipe(pairs, settings)
    _fit(arguments, recipe, {"patches": asdict(settings), "pairs": len(pairs), "sha256": digest(pairs)})
    network = recipe.network
    frame, chart = (network.encode(inner_patches(side)) for side in (held_out.frame, held_out.map))
    report = report_patches(frame, chart)
    write_json(arguments.out / "report.json", asdict(report))
    write_descriptor(network, report.likeness, arguments.out / "descriptor.onnx")
    print(f"{arguments.out / 'descriptor.onnx'}: {report}", file=sys.stderr)
    return 0


def _fit(arguments: argparse.Namespace, recipe: Any, configuration: dict[str, Any]) -> None:
    """Train by a `Recipe`, or go on with it, as the arguments say."""
    import torch

    from export.parallel import World
    from export.trainer import RunSettings, fit

    torch.set_num_threads(arguments.threads)
    run = RunSettings(arguments.seed, arguments.steps, RATE, WEIGHT_DECAY, WARMUP)
    fit(recipe, run, configuration, arguments.out, World(0, 1, torch.device("cpu")))
