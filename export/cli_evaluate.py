"""``nadir export evaluate``: recall of teachers, students and the classical baseline, with seconds and bytes beside."""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from export.cli_common import earth_arguments, settings_of, studio
from export.json_file import write_json
from export.progress import Bar
from onboard.arguments import number, output_file, whole
from onboard.camera_files import load_camera
from onboard.encoder import Encoder, moves_m
from onboard.errors import NadirError
from onboard.plugins import service

VLAD = "vlad-rootsift"
# Views of the baseline: SIFT wants more pixels than the networks do.
VLAD_SIZE, VLAD_DIM, VLAD_VIEWS = 160, 256, 2000


class EvaluationError(NadirError):
    """An evaluation that cannot be made as asked."""


def add_actions(actions: argparse._SubParsersAction) -> None:
    evaluate = actions.add_parser("evaluate", help="recall on simulated looks and real frames, as JSON")
    earth_arguments(evaluate)
    evaluate.add_argument("--models", type=Path, nargs="*", default=[], metavar="MODEL",
                          help="networks (.onnx) and teachers (.pt)")  # fmt: skip
    evaluate.add_argument("--vlad", action="store_true", help="beside them, VLAD of RootSIFT")
    evaluate.add_argument("--frames", type=Path, metavar="DIR", help="a folder with frames.csv")
    evaluate.add_argument("--camera", type=Path, help="overrides the camera named in frames.csv (it may have a mask)")
    evaluate.add_argument("--earthloc", type=Path, nargs=2, metavar=("QUERIES", "DATABASE"),
                          help="folders in the layout of EarthLoc and AstroLoc, corners in the names")  # fmt: skip
    evaluate.add_argument("--band", type=number(-90, 90), nargs=2, default=(-56.0, 56.0), metavar=("SOUTH", "NORTH"))
    evaluate.add_argument(
        "--spacing-km", type=number(1, 5000), default=100.0, help="of the cells searched (%(default)s)"
    )
    evaluate.add_argument("--looks", type=whole(1), default=1000, help="simulated queries (default: %(default)s)")
    evaluate.add_argument("--threads", type=whole(1), default=2)
    evaluate.add_argument("--out", type=output_file, required=True, metavar="RECALL.json")
    evaluate.set_defaults(run=run_evaluate, extra="train")


def run_evaluate(arguments: argparse.Namespace) -> int:
    from export import evaluate
    from export.footprints import read_footprints
    from export.frames import read_frames

    if not arguments.models and not arguments.vlad:
        raise EvaluationError("nothing to evaluate: name --models, or --vlad, or both")
    camera = load_camera(arguments.camera) if arguments.camera else None
    frames = read_frames(arguments.frames, camera) if arguments.frames else []
    photographs = [read_footprints(folder) for folder in arguments.earthloc or ()]
    encoders: dict[str, Any] = {str(model): _encoder(model, arguments.threads) for model in arguments.models}
    span_m = max((encoder.span_m for encoder in encoders.values()), default=320e3)
    # As fine as the finest asks for.
    gsd_m = min([encoder.span_m / encoder.size for encoder in encoders.values()], default=np.inf)
    gsd_m = min(gsd_m, span_m / VLAD_SIZE) if arguments.vlad else gsd_m
    renderer = studio(arguments, span_m, round(span_m / gsd_m))
    if arguments.vlad:
        encoders[VLAD] = _baseline(renderer, arguments.seed)
    looks, look_places = [], []
    with Bar("looks", arguments.looks) as bar:
        for picture, place in evaluate.simulated_queries(renderer, arguments.looks, arguments.seed):
            looks.append(picture)
            look_places.append(place)
            bar.update()
    frame_places = [(frame.lat_deg, frame.lon_deg) for frame in frames]
    labels = [frame.label for frame in frames]
    report: dict[str, Any] = {"settings": settings_of(arguments), "models": {}}
    mosaic, build_cells = service("mosaic")(*arguments.mosaic), service("cells")
    for name, encoder in encoders.items():
        entry: dict[str, Any] = {"bytes": encoder.bytes if name == VLAD else Path(name).stat().st_size}
        began = time.perf_counter()
        with Bar(f"cells of {Path(name).name}", 1) as bar:
            table = build_cells(mosaic, encoder, tuple(arguments.band), arguments.spacing_km * 1e3, bar.told)
        entry |= {"cells": len(table), "bytes_of_cells": table.codes.nbytes, "dim": encoder.dim, "turns": encoder.turns}
        entry["moves"] = len(moves_m(table.spacing_m, encoder.reach_m))
        entry["cells_s"] = round(time.perf_counter() - began, 1)
        began, spent = time.perf_counter(), time.process_time()
        with Bar(f"looks by {Path(name).name}", len(looks)) as bar:
            codes = evaluate.encode_frames(encoder, _counted(looks, bar), table.spacing_m)
        entry["simulated_held_out"] = evaluate.recall(evaluate.hit_ranks(table, codes, look_places))
        entry["ms_per_frame"] = round((time.perf_counter() - began) / max(1, len(looks)) * 1e3, 1)
        entry["cpu_ms_per_frame"] = round((time.process_time() - spent) / max(1, len(looks)) * 1e3, 1)
        # The pixel of a rectified frame is half of a view's, so that the view is reduced, never enlarged.
        seen = (frame.picture(encoder.span_m / encoder.size / 2) for frame in frames)
        codes = evaluate.encode_frames(encoder, seen, table.spacing_m)
        entry["real"] = evaluate.by_label(evaluate.hit_ranks(table, codes, frame_places), labels)
        if photographs:
            with Bar(f"photographs for {Path(name).name}", sum(map(len, photographs))) as bar:
                entry["earthloc"] = evaluate.recall(
                    evaluate.footprint_ranks(encoder, photographs[0], photographs[1], bar.update)
                )
        report["models"][name] = entry
        print(json.dumps({name: entry}), file=sys.stderr)
    codes_asked = int(entry["turns"]) * int(entry["moves"])
    report["random_codes"] = {
        "simulated_held_out": evaluate.recall(evaluate.random_ranks(table, look_places, codes_asked)),
        "real": evaluate.by_label(evaluate.random_ranks(table, frame_places, codes_asked), labels),
    }
    write_json(arguments.out, report)
    print(json.dumps(report))
    return 0


def _counted(pictures: Iterable[Any], bar: Bar) -> Iterator[Any]:
    for picture in pictures:
        yield picture
        bar.update()


def _encoder(model: Path, threads: int) -> Any:
    if model.suffix != ".pt":
        return Encoder(model, threads)
    import torch

    from export.teacher import load_teacher
    from export.torch_encoder import TorchEncoder

    torch.set_num_threads(threads)
    teacher = load_teacher(model)
    return TorchEncoder(teacher, teacher.settings, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _baseline(renderer: Any, seed: int) -> Any:
    """VLAD with words and directions of map views outside the regions held out."""
    from export.regions import held_out
    from export.vlad import VladEncoder

    rng = np.random.default_rng([seed, 3])
    views: list = []
    with Bar("views for the baseline", VLAD_VIEWS) as bar:
        while len(views) < VLAD_VIEWS:
            lat_deg, lon_deg = renderer.earth.draw_place(rng, (-62.0, 62.0), 0.15)
            if not held_out(lat_deg, lon_deg, renderer.span_m / 2):
                views.append(renderer.map_picture(lat_deg, lon_deg).view(renderer.span_m, VLAD_SIZE))
                bar.update()
    return VladEncoder(views, renderer.span_m, VLAD_SIZE, VLAD_DIM, seed)
