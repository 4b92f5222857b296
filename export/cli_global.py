"""``nadir export teacher | distill | ablate``: the global code, from mosaic and photographs to encoder.onnx."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from export.cli_common import earth_arguments, settings_of, studio
from export.json_file import write_json
from onboard.arguments import number, whole
from onboard.engine_file import sha256

LOSSES = ("regression", "relational", "metric")


def add_actions(actions: argparse._SubParsersAction) -> None:
    teacher = actions.add_parser("teacher", help="mosaic and photographs to teacher.pt; torchrun for several GPUs")
    _training_arguments(teacher, steps=20_000, rate=1e-4, least=1)
    teacher.add_argument("--recipe", choices=("astroloc", "cosplace"), default="astroloc")
    teacher.add_argument("--backbone", default="scratch", metavar="scratch|DIR",
                         help="convolutions from scratch, or a DINOv2 checkpoint of transformers")  # fmt: skip
    teacher.add_argument("--size", type=whole(8), default=224, help="pixels a side of the view (%(default)s)")
    teacher.add_argument("--dim", type=whole(1), default=2048, help="length of the code (%(default)s)")
    teacher.add_argument("--turns", type=whole(1), default=1,
                         help="of a frame at search; 1 trains codes for any heading (%(default)s)")  # fmt: skip
    teacher.add_argument(
        "--salad", type=whole(1), nargs=3, default=(64, 128, 256), metavar=("CLUSTERS", "DIM", "TOKEN")
    )
    teacher.add_argument(
        "--batch",
        type=whole(8),
        default=64,
        help="views a step; astroloc adds half as many, of other dates (%(default)s)",
    )
    teacher.add_argument("--clusters", type=whole(1), default=50, help="of the map, astroloc (%(default)s)")
    teacher.add_argument("--recluster", type=whole(1), default=2000, help="every so many steps, astroloc (%(default)s)")
    teacher.add_argument("--relevance", type=whole(1), default=4000,
                         help="frames that say how often a cluster is drawn, astroloc (%(default)s)")  # fmt: skip
    teacher.add_argument(
        "--spacing-km", type=number(1, 5000), default=100.0, help="of the places clustered, or of the cells"
    )
    teacher.set_defaults(run=run_teacher, extra="train")

    distill = actions.add_parser("distill", help="mosaic, and a teacher if there is one, to the student encoder.onnx")
    _training_arguments(distill, steps=10_000, rate=1e-3, least=0)
    _student_arguments(distill)
    distill.add_argument(
        "--whiten", type=number(0, 1), default=0.5, help="power of the whitening, 0 to 1 (%(default)s)"
    )
    distill.set_defaults(run=run_distill, extra="train")

    ablate = actions.add_parser("ablate", help="what each part of the student's training is worth, as a table")
    _training_arguments(ablate, steps=None)
    _student_arguments(ablate)
    ablate.add_argument("--seconds", type=number(1), required=True, help="of training a row")
    ablate.add_argument("--looks", type=whole(1), default=500, help="simulated queries (%(default)s)")
    ablate.add_argument("--spacing-km", type=number(1, 5000), default=100.0, help="of the cells searched (%(default)s)")
    ablate.set_defaults(run=run_ablate, extra="train")


def _training_arguments(
    parser: argparse.ArgumentParser, steps: int | None, rate: float | None = None, least: int = 1
) -> None:
    earth_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="holds the checkpoint; resumed from it")
    parser.add_argument("--photographs", type=Path, metavar="DIR",
                        help="frames.csv, footprints.csv or corners in the names: trained on too")  # fmt: skip
    parser.add_argument(
        "--span-km", type=number(1, 5000), default=280.0, help="ground seen by the network (%(default)s)"
    )
    parser.add_argument("--reach-km", type=number(0, 1000), default=12.5,
                        help="how far off its map's middle a frame may lie: the search sees to the rest (%(default)s)",
                        )  # fmt: skip
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--threads", type=whole(1), default=2, help="of the network on a CPU, and of the renderer")
    if steps is not None:
        parser.add_argument("--steps", type=whole(least), default=steps, help="(default: %(default)s)")
        parser.add_argument("--rate", type=number(1e-9, 10), default=rate, help="of learning (default: %(default)s)")
        parser.add_argument("--checkpoint-every", type=whole(1), default=500, help="steps (default: %(default)s)")


def _student_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--teacher", type=Path, metavar="TEACHER.pt")
    parser.add_argument("--size", type=whole(8), default=56, help="pixels a side of the view (%(default)s)")
    parser.add_argument("--dim", type=whole(1), default=256, help="length of the code (%(default)s)")
    parser.add_argument("--turns", type=whole(1), default=24, help="of a frame at search (%(default)s)")
    parser.add_argument("--channels", type=whole(1), default=32)
    parser.add_argument("--blocks", type=whole(0), default=2)
    parser.add_argument("--batch", type=whole(8), default=64, help="pairs of map and frame a step (%(default)s)")
    parser.add_argument("--closed-form-pairs", type=whole(1), default=16_000, help="of the start (%(default)s)")
    for loss in LOSSES:
        parser.add_argument(f"--{loss}", type=number(0), metavar="WEIGHT",
                            help="weight of this loss (1; those of teaching 0 without a teacher)")  # fmt: skip


def run_teacher(arguments: argparse.Namespace) -> int:
    torch = _torch(arguments)
    from export.astroloc import AstroLoc, AstroLocSettings
    from export.cosplace import CosPlace, CosPlaceSettings
    from export.parallel import joined_world
    from export.teacher import Teacher, TeacherSettings, save_teacher
    from export.trainer import Recipe, fit

    clusters, cluster_dim, token_dim = arguments.salad
    settings = TeacherSettings(
        arguments.backbone, arguments.size, arguments.span_km * 1e3, arguments.dim, arguments.turns,
        clusters, cluster_dim, token_dim, arguments.reach_km * 1e3,
    )  # fmt: skip
    with joined_world(arguments.device) as world:
        torch.manual_seed(arguments.seed)
        teacher = Teacher(settings).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        scenes = _scenes(arguments, settings.size, settings.turns)
        how: AstroLocSettings | CosPlaceSettings
        recipe: Recipe
        if arguments.recipe == "astroloc":
            how = AstroLocSettings(
                pairs=arguments.batch // 2, places=arguments.batch // 4, clusters=arguments.clusters,
                recluster=arguments.recluster, relevance=arguments.relevance, spacing_m=arguments.spacing_km * 1e3,
            )  # fmt: skip
            recipe = AstroLoc(teacher, scenes, how, world)
        else:
            how = CosPlaceSettings(views=arguments.batch, cell_m=arguments.spacing_km * 1e3)
            recipe = CosPlace(teacher, scenes, how, world)
        configuration = {"teacher": asdict(settings), "recipe": arguments.recipe, arguments.recipe: asdict(how)}
        fit(recipe, _run(arguments), {**configuration, **_sources(arguments)}, arguments.out, world)
        if world.leads:
            save_teacher(teacher.cpu(), arguments.out / "teacher.pt")
            print(f"{arguments.out / 'teacher.pt'}: written", file=sys.stderr)
    return 0


def run_distill(arguments: argparse.Namespace) -> int:
    _torch(arguments)
    from export.model_file import write_onnx
    from export.network import cost
    from export.parallel import joined_world
    from export.student import Student
    from export.trainer import fit

    network, student = _student_settings(arguments, arguments.whiten)
    with joined_world(arguments.device) as world:
        teacher, size = _teacher(arguments, network.size)
        made = Student(network, _scenes(arguments, size, network.turns), student, teacher, world)
        configuration = {"network": asdict(network), "student": asdict(student), "teacher": _file(arguments.teacher)}
        fit(made, _run(arguments), {**configuration, **_sources(arguments)}, arguments.out, world)
        if world.leads:
            made.finish()
            write_onnx(made.network.cpu(), network, arguments.out / "encoder.onnx")
            parameters, operations = cost(made.network, network.size)
            print(f"{arguments.out / 'encoder.onnx'}: written; {parameters / 1e6:.2f} M parameters, "
                  f"{operations / 1e9:.3f} GFLOP a view", file=sys.stderr)  # fmt: skip
    return 0


def run_ablate(arguments: argparse.Namespace) -> int:
    _torch(arguments)
    from export.ablation import Bench, ablate, rows
    from export.evaluate import simulated_queries
    from export.parallel import joined_world
    from onboard.cells import tile_band

    network, student = _student_settings(arguments, 0.5)
    with joined_world(arguments.device) as world:
        teacher, size = _teacher(arguments, network.size)
        scenes = _scenes(arguments, size, network.turns)
        cells = np.column_stack(tile_band(scenes.settings.band_deg, arguments.spacing_km * 1e3))
        share = scenes.studio.earth.land_share
        land = [share[min(179, int(90 - lat)), min(359, int(lon + 180))] > 0.05 for lat, lon in cells.tolist()]
        queries = list(simulated_queries(scenes.studio, arguments.looks, arguments.seed))
        bench = Bench(
            scenes.maps(cells[land]), cells[land], [picture for picture, _ in queries], [at for _, at in queries],
            arguments.spacing_km * 1e3,
        )  # fmt: skip
        lines = ablate(
            rows(network, student, teacher is not None), scenes, teacher, bench, arguments.seconds, arguments.out,
            {"teacher": _file(arguments.teacher), **_sources(arguments)}, world,
            lambda line: print(json.dumps(line), flush=True),
        )  # fmt: skip
    write_json(
        arguments.out / "ablation.json", {"settings": settings_of(arguments), "cells": int(np.sum(land)), "rows": lines}
    )
    return 0


def _torch(arguments: argparse.Namespace) -> Any:
    import torch

    torch.set_num_threads(arguments.threads)
    arguments.device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return torch


def _student_settings(arguments: argparse.Namespace, whiten: float) -> Any:
    from export.network import NetworkSettings
    from export.student import StudentSettings

    network = NetworkSettings(
        arguments.size, arguments.span_km * 1e3, arguments.dim, arguments.turns, arguments.channels, arguments.blocks,
        arguments.reach_km * 1e3,
    )  # fmt: skip
    asked = {loss: getattr(arguments, loss) for loss in LOSSES}
    usual = {loss: 1.0 if arguments.teacher or loss == "metric" else 0.0 for loss in LOSSES}
    weights: dict[str, Any] = {loss: usual[loss] if weight is None else weight for loss, weight in asked.items()}
    student = StudentSettings(pairs=arguments.batch, closed_form_pairs=arguments.closed_form_pairs, whiten=whiten)
    return network, replace(student, **weights)


def _teacher(arguments: argparse.Namespace, student_size: int) -> Any:
    """The teacher, None without one, and the size of the larger view of the two."""
    from export.teacher import load_teacher

    if arguments.teacher is None:
        return None, student_size
    teacher = load_teacher(arguments.teacher)
    return teacher, max(student_size, teacher.settings.size)


def _scenes(arguments: argparse.Namespace, size: int, turns: int) -> Any:
    from export.scenes import Scenes, SceneSettings, read_photographs

    span_m = arguments.span_km * 1e3
    photographs = read_photographs(arguments.photographs, span_m, turns) if arguments.photographs else ()
    rendered = studio(arguments, span_m, size)
    return Scenes(
        rendered, SceneSettings(arguments.seed, turns, arguments.reach_km * 1e3), photographs, arguments.threads
    )


def _run(arguments: argparse.Namespace) -> Any:
    from export.trainer import RunSettings

    every = arguments.checkpoint_every
    return RunSettings(arguments.seed, arguments.steps, arguments.rate, checkpoint_every=every)


def _file(path: Path | None) -> dict[str, str] | None:
    """A file by its name and content: a teacher that was trained further has the same name."""
    return None if path is None else {"file": path.name, "sha256": sha256(path.read_bytes())}


def _sources(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was rendered from, by name: a folder may move between the machine that trains and the next."""
    photographs = arguments.photographs.name if arguments.photographs else None
    return {
        "mosaic": [path.name for path in arguments.mosaic], "month": [path.name for path in arguments.month],
        "earth_px": arguments.earth_px, "photographs": photographs,
    }  # fmt: skip
