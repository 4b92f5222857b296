"""``nadir export quantize | quantize-local | engine``: networks made ready for the device."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from export.cli_common import earth_arguments, settings_of, studio
from export.json_file import write_json
from onboard.arguments import keep_inputs, output_file, whole
from onboard.encoder import Encoder
from onboard.patch_model import PATCHES_AT_ONCE


def add_actions(actions: argparse._SubParsersAction) -> None:
    quantize = actions.add_parser("quantize", help="encoder.onnx to INT8 (explicit Q/DQ)")
    earth_arguments(quantize)
    quantize.add_argument("--model", type=Path, required=True, metavar="ENCODER.onnx")
    quantize.add_argument("--out", type=_model_file, required=True, metavar="INT8.onnx")
    quantize.add_argument("--views", type=whole(1), default=512, help="to calibrate on (default: %(default)s)")
    quantize.set_defaults(run=run_quantize, extra="train")

    quantize_local = actions.add_parser("quantize-local", help="descriptor.onnx to INT8 (explicit Q/DQ), measured")
    quantize_local.add_argument("--model", type=Path, required=True, metavar="DESCRIPTOR.onnx")
    quantize_local.add_argument("--pairs", type=Path, required=True, metavar="DIR")
    quantize_local.add_argument("--out", type=_model_file, required=True, metavar="INT8.onnx")
    quantize_local.add_argument("--patches", type=whole(1), default=4096, help="to calibrate on (default: %(default)s)")
    quantize_local.add_argument("--seed", type=whole(0), default=0)
    quantize_local.set_defaults(run=run_quantize_local, extra="train")

    engine = actions.add_parser("engine", help="a network to a TensorRT engine, on the device where it will run")
    engine.add_argument("--model", type=Path, required=True, metavar="NET.onnx")
    engine.add_argument(
        "--batch", type=whole(1), default=PATCHES_AT_ONCE, help="patches at once (%(default)s, as the runtime)"
    )
    engine.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="the pack's directory, or the one $NADIR_ENGINES names")  # fmt: skip
    engine.set_defaults(run=run_engine, extra="jetson")


def _model_file(text: str) -> Path:
    """A file for a network, beside which a .json says how it was made."""
    if Path(text).suffix.lower() == ".json":
        raise argparse.ArgumentTypeError(f"{text}: would be overwritten by what says how it was made; name it .onnx")
    return output_file(text)


def run_quantize(arguments: argparse.Namespace) -> int:
    from export.quantize import calibration_views, quantize

    keep_inputs(arguments.out, [arguments.model])
    encoder = Encoder(arguments.model)
    rendered = studio(arguments, encoder.span_m, encoder.size)
    views = calibration_views(rendered, encoder.turns, encoder.reach_m, arguments.views, arguments.seed)
    quantize(arguments.model, arguments.out, views)
    write_json(arguments.out.with_suffix(".json"), {"settings": settings_of(arguments)})
    sizes = arguments.model.stat().st_size, arguments.out.stat().st_size
    print(f"{arguments.out}: {sizes[1] / 1e3:.0f} kB (was {sizes[0] / 1e3:.0f} kB); "
          "what it costs: nadir export evaluate --models BOTH", file=sys.stderr)  # fmt: skip
    return 0


def run_quantize_local(arguments: argparse.Namespace) -> int:
    from export.quantize_patches import TOLERATED, quantize_descriptor

    keep_inputs(arguments.out, [arguments.model])
    report = quantize_descriptor(arguments.model, arguments.out, arguments.pairs, arguments.patches, arguments.seed)
    write_json(arguments.out.with_suffix(".json"), {"settings": settings_of(arguments), **asdict(report)})
    for name, one in (("float32", report.float32), ("int8", report.int8)):
        print(f"{name:8} of {one.pairs} held-out pairs first {100 * one.recall_1:.2f} %, in the first ten "
              f"{100 * one.recall_10:.2f} %; likeness {one.right:.4f}, of chance {one.chance:.4f}")  # fmt: skip
    print(f"lost     {100 * report.lost:.2f} points; mean cosine of the same patch {report.likeness:.4f}")
    if report.lost > TOLERATED:
        print(f"{arguments.out}: loses more than {100 * TOLERATED:g} points; calibrate on more --patches, or keep "
              f"{arguments.model}", file=sys.stderr)  # fmt: skip
    return 0


def run_engine(arguments: argparse.Namespace) -> int:
    from export.engine import build_engine, check_engine

    path = build_engine(arguments.model, arguments.batch, arguments.out)
    check_engine(arguments.model, path)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB, agrees with ONNX Runtime", file=sys.stderr)
    return 0
