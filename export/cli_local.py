"""``nadir export pairs | local``: the descriptor of keypoints, from simulated frames to descriptor.onnx."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from export.cli_common import bar
from export.json_file import write_json
from onboard.errors import MissingPackageError

# Of AdamW, for the descriptor network.
RATE, WEIGHT_DECAY, WARMUP = 2e-3, 1e-3, 100


def add_actions(actions: argparse._SubParsersAction) -> None:
    pairs = actions.add_parser("pairs", help="simulated frames to pairs of patches, the descriptor's training data")
    pairs.add_argument("--mosaic", type=Path, required=True, nargs="+", metavar="F.tif")
    pairs.add_argument("--out", type=Path, required=True, metavar="DIR", help="of shards; resumed from them")
    pairs.add_argument("--places", type=int, default=1000, help="four frames at each (default: %(default)s)")
    pairs.add_argument("--gsd-m", type=float, default=930.0, help="of the catalogue (default: %(default)s)")
    pairs.add_argument("--seed", type=int, default=0)
    pairs.set_defaults(run=run_pairs)

    local = actions.add_parser("local", help="pairs to descriptor.onnx, the network that describes keypoints")
    local.add_argument("--pairs", type=Path, required=True, metavar="DIR")
    local.add_argument("--out", type=Path, required=True, metavar="DIR", help="holds the checkpoint; resumed from it")
    local.add_argument("--steps", type=int, default=6000, help="of 512 pairs (default: %(default)s)")
    local.add_argument("--threads", type=int, default=2)
    local.add_argument("--seed", type=int, default=0)
    local.set_defaults(run=run_local)


def run_pairs(arguments: argparse.Namespace) -> int:
    from export.pair_store import PairSettings, write_pairs

    settings = PairSettings(gsd_m=arguments.gsd_m, places=arguments.places, seed=arguments.seed)
    with bar("places", arguments.places) as shown:

        def show(done: int, total: int, pairs: int) -> None:
            shown.update(done - shown.n)
            shown.set_postfix(pairs=pairs)

        write_pairs(arguments.mosaic, settings, arguments.out, show)
    return 0


def run_local(arguments: argparse.Namespace) -> int:
    try:
        import torch

        from export.pair_store import read_pairs
        from export.parallel import World
        from export.patch_evaluate import inner_patches, report_patches
        from export.patch_network import write_descriptor
        from export.patch_train import PatchRecipe, PatchTrainSettings
        from export.trainer import RunSettings, fit
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"training needs the package {error.name!r}: pip install 'nadir[train]'") from error
    torch.set_num_threads(arguments.threads)
    pairs, settings = read_pairs(arguments.pairs, "shard"), PatchTrainSettings(seed=arguments.seed)
    recipe = PatchRecipe(pairs, settings)
    run = RunSettings(arguments.seed, arguments.steps, RATE, WEIGHT_DECAY, WARMUP)
    configuration = {"patches": asdict(settings), "pairs": len(pairs)}
    fit(recipe, run, configuration, arguments.out, World(0, 1, torch.device("cpu")))
    network = recipe.network
    held_out = read_pairs(arguments.pairs, "held-out")
    frame, chart = (network.encode(inner_patches(side)) for side in (held_out.frame, held_out.map))
    report = report_patches(frame, chart)
    write_json(arguments.out / "report.json", asdict(report))
    write_descriptor(network, report.likeness, arguments.out / "descriptor.onnx")
    print(f"{arguments.out / 'descriptor.onnx'}: {report}", file=sys.stderr)
    return 0
