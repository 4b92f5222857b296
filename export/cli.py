"""``nadir export train | pairs | local | quantize | quantize-local | engine | evaluate``: stages from files to files
that can be rerun alone."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from onboard.camera_files import load_camera
from onboard.encoder import Encoder
from onboard.errors import MissingPackageError
from onboard.plugins import service


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    actions = subparsers.add_parser("export", help="train, quantize and measure the encoder").add_subparsers(
        metavar="ACTION", required=True
    )
    train = actions.add_parser("train", help="mosaic to encoder.onnx, by metric learning on rendered looks")
    _earth_arguments(train)
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="holds the checkpoint; resumed from it")
    train.add_argument("--steps", type=int, default=1000,
                       help="of 64 pairs, after the closed-form start (default: %(default)s)")  # fmt: skip
    train.add_argument("--span-km", type=float, default=320.0, help="ground seen by the network (%(default)s)")
    train.add_argument("--threads", type=int, default=2)
    train.set_defaults(run=run_train)

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

    quantize = actions.add_parser("quantize", help="encoder.onnx to INT8 (explicit Q/DQ)")
    _earth_arguments(quantize)
    quantize.add_argument("--model", type=Path, required=True, metavar="ENCODER.onnx")
    quantize.add_argument("--out", type=Path, required=True, metavar="INT8.onnx")
    quantize.add_argument("--views", type=int, default=512, help="to calibrate on (default: %(default)s)")
    quantize.set_defaults(run=run_quantize)

    quantize_local = actions.add_parser("quantize-local", help="descriptor.onnx to INT8 (explicit Q/DQ), measured")
    quantize_local.add_argument("--model", type=Path, required=True, metavar="DESCRIPTOR.onnx")
    quantize_local.add_argument("--pairs", type=Path, required=True, metavar="DIR")
    quantize_local.add_argument("--out", type=Path, required=True, metavar="INT8.onnx")
    quantize_local.add_argument("--patches", type=int, default=4096, help="to calibrate on (default: %(default)s)")
    quantize_local.add_argument("--seed", type=int, default=0)
    quantize_local.set_defaults(run=run_quantize_local)

    engine = actions.add_parser("engine", help="descriptor.onnx to a TensorRT engine, on the device where it will run")
    engine.add_argument("--model", type=Path, required=True, metavar="DESCRIPTOR.onnx")
    engine.add_argument("--batch", type=int, default=512, help="patches at once (default: %(default)s)")
    engine.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="the pack's directory, or the one $NADIR_ENGINES names")  # fmt: skip
    engine.set_defaults(run=run_engine)

    evaluate = actions.add_parser("evaluate", help="recall on simulated looks and real frames, as JSON")
    _earth_arguments(evaluate)
    evaluate.add_argument("--models", type=Path, required=True, nargs="+", metavar="MODEL.onnx")
    evaluate.add_argument("--frames", type=Path, metavar="DIR", help="a folder with frames.csv")
    evaluate.add_argument("--camera", type=Path, help="overrides the camera named in frames.csv (it may have a mask)")
    evaluate.add_argument("--band", type=float, nargs=2, default=(-56.0, 56.0), metavar=("SOUTH", "NORTH"))
    evaluate.add_argument("--spacing-km", type=float, default=50.0)
    evaluate.add_argument("--looks", type=int, default=1000, help="simulated queries (default: %(default)s)")
    evaluate.add_argument("--out", type=Path, required=True, metavar="RECALL.json")
    evaluate.set_defaults(run=run_evaluate)


def _earth_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mosaic", type=Path, required=True, nargs="+", metavar="F.tif")
    parser.add_argument("--month", type=Path, nargs="*", default=[], metavar="PICTURE",
                        help="the whole Earth in another season, equirectangular, for looks")  # fmt: skip
    parser.add_argument("--earth-px", type=int, default=16200, help="columns kept in memory (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)


def run_train(arguments: argparse.Namespace) -> int:
    try:
        import torch

        from export.model_file import write_onnx
        from export.network import NetworkSettings
        from export.train import TrainSettings, fit
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"training needs the package {error.name!r}: pip install 'nadir[train]'") from error
    torch.set_num_threads(arguments.threads)
    network = NetworkSettings(span_m=arguments.span_km * 1e3)
    train = TrainSettings(seed=arguments.seed, steps=arguments.steps)
    state = fit(_studio(arguments, network.span_m, network.size), network, train, arguments.out)
    write_onnx(state.network, network, arguments.out / "encoder.onnx")
    print(f"{arguments.out / 'encoder.onnx'}: written", file=sys.stderr)
    return 0


def run_pairs(arguments: argparse.Namespace) -> int:
    from export.pair_store import PairSettings, write_pairs

    settings = PairSettings(gsd_m=arguments.gsd_m, places=arguments.places, seed=arguments.seed)
    with _bar("places", arguments.places) as bar:

        def show(done: int, total: int, pairs: int) -> None:
            bar.update(done - bar.n)
            bar.set_postfix(pairs=pairs)

        write_pairs(arguments.mosaic, settings, arguments.out, show)
    return 0


def run_local(arguments: argparse.Namespace) -> int:
    try:
        import torch

        from export.pair_store import read_pairs
        from export.patch_evaluate import inner_patches, report_patches
        from export.patch_network import write_descriptor
        from export.patch_train import PatchTrainSettings, fit_patches
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"training needs the package {error.name!r}: pip install 'nadir[train]'") from error
    torch.set_num_threads(arguments.threads)
    train = PatchTrainSettings(steps=arguments.steps, seed=arguments.seed)
    network = fit_patches(read_pairs(arguments.pairs, "shard"), train, arguments.out)
    held_out = read_pairs(arguments.pairs, "held-out")
    frame, chart = (network.encode(inner_patches(side)) for side in (held_out.frame, held_out.map))
    report = report_patches(frame, chart)
    _write_json(arguments.out / "report.json", asdict(report))
    write_descriptor(network, report.likeness, arguments.out / "descriptor.onnx")
    print(f"{arguments.out / 'descriptor.onnx'}: {report}", file=sys.stderr)
    return 0


def run_quantize(arguments: argparse.Namespace) -> int:
    try:
        from export.quantize import calibration_views, quantize
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"quantizing needs the package {error.name!r}: pip install 'nadir[train]'") from error
    encoder = Encoder(arguments.model)
    views = calibration_views(
        _studio(arguments, encoder.span_m, encoder.size), encoder.turns, arguments.views, arguments.seed
    )
    quantize(arguments.model, arguments.out, views)
    _write_json(arguments.out.with_suffix(".json"), {"settings": _settings(arguments)})
    sizes = arguments.model.stat().st_size, arguments.out.stat().st_size
    print(f"{arguments.out}: {sizes[1] / 1e3:.0f} kB (was {sizes[0] / 1e3:.0f} kB); "
          "what it costs: nadir export evaluate --models BOTH", file=sys.stderr)  # fmt: skip
    return 0


def run_quantize_local(arguments: argparse.Namespace) -> int:
    try:
        from export.quantize_patches import TOLERATED, quantize_descriptor
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"quantizing needs the package {error.name!r}: pip install 'nadir[train]'") from error
    report = quantize_descriptor(arguments.model, arguments.out, arguments.pairs, arguments.patches, arguments.seed)
    _write_json(arguments.out.with_suffix(".json"), {"settings": _settings(arguments), **asdict(report)})
    for name, one in (("float32", report.float32), ("int8", report.int8)):
        print(f"{name:8} of {one.pairs} held-out pairs first {100 * one.recall_1:.2f} %, in the first ten "
              f"{100 * one.recall_10:.2f} %; likeness {one.right:.4f}, of chance {one.chance:.4f}")  # fmt: skip
    print(f"lost     {100 * report.lost:.2f} points; mean cosine of the same patch {report.likeness:.4f}")
    if report.lost > TOLERATED:
        print(f"{arguments.out}: loses more than {100 * TOLERATED:g} points; calibrate on more --patches, or keep "
              f"{arguments.model}", file=sys.stderr)  # fmt: skip
    return 0


def run_engine(arguments: argparse.Namespace) -> int:
    try:
        from export.engine import build_engine, check_engine
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"an engine needs the package {error.name!r}: pip install 'nadir[jetson]'") from error
    path = build_engine(arguments.model, arguments.batch, arguments.out)
    check_engine(arguments.model, path)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB, agrees with ONNX Runtime", file=sys.stderr)
    return 0


def run_evaluate(arguments: argparse.Namespace) -> int:
    from export.evaluate import by_label, encode_all, hit_ranks, random_ranks, recall, simulated_queries
    from export.frames import frame_views, read_frames

    frames = read_frames(arguments.frames) if arguments.frames else []
    camera = load_camera(arguments.camera) if arguments.camera else None
    encoders = {str(model): Encoder(model) for model in arguments.models}
    mosaic, build_cells = service("mosaic")(*arguments.mosaic), service("cells")
    first = next(iter(encoders.values()))
    studio = _studio(arguments, first.span_m, first.size)
    with _bar("looks", arguments.looks) as bar:
        looks, look_places = simulated_queries(studio, arguments.looks, arguments.seed, bar.update)
    frame_places = [(frame.lat_deg, frame.lon_deg) for frame in frames]
    labels = [frame.label for frame in frames]
    band = tuple(arguments.band)
    report: dict[str, Any] = {"settings": _settings(arguments), "models": {}}
    for name, encoder in encoders.items():
        with _bar(f"cells of {Path(name).name}", 1) as bar:
            table = build_cells(mosaic, encoder, band, arguments.spacing_km * 1e3, _shown(bar))
        entry: dict[str, Any] = {"bytes": Path(name).stat().st_size, "cells": len(table)}
        began = time.perf_counter()
        codes = encode_all(encoder, looks)
        entry["ms_per_frame"] = round((time.perf_counter() - began) / max(1, len(codes)) * 1e3, 1)
        entry["simulated_held_out"] = recall(hit_ranks(table, codes, look_places))
        views = list(frame_views(frames, encoder, camera))
        entry["real"] = by_label(hit_ranks(table, encode_all(encoder, views), frame_places), labels)
        report["models"][name] = entry
    report["random_codes"] = {
        "simulated_held_out": recall(random_ranks(table, look_places, encoder.turns)),
        "real": by_label(random_ranks(table, frame_places, encoder.turns), labels),
    }
    _write_json(arguments.out, report)
    print(json.dumps(report))
    return 0


def _settings(arguments: argparse.Namespace) -> dict[str, str]:
    return {key: str(value) for key, value in vars(arguments).items() if key != "run"}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


def _studio(arguments: argparse.Namespace, span_m: float, size: int) -> Any:
    from export.earth import load_earth
    from export.looks import Studio
    from export.noise import Noise

    with _bar("reading the mosaic", 1) as bar:
        earth = load_earth(
            service("mosaic")(*arguments.mosaic), arguments.earth_px, tuple(arguments.month), _shown(bar)
        )
    return Studio(earth, Noise(arguments.seed), span_m, size)


def _bar(stage: str, total: int) -> tqdm:
    return tqdm(total=total, desc=stage, disable=not sys.stderr.isatty())


def _shown(bar: tqdm) -> Any:
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show
