"""What each part of the student's training is worth: the same seconds for every row, one table."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.evaluate import Places, encode_frames, encode_maps, ranks_among, recall
from export.looks import Picture
from export.network import NetworkSettings, cost
from export.parallel import World
from export.scenes import Scenes
from export.student import Student, StudentSettings
from export.teacher import Teacher
from export.torch_encoder import TorchEncoder
from export.trainer import RunSettings, fit
from onboard.geodesy import distance_m

TIMED_STEPS = 3
RATE = 1e-3


@dataclass(frozen=True)
class Row:
    """One variant: its name, network and losses. ``steps`` False: only the closed form."""

    name: str
    network: NetworkSettings
    student: StudentSettings
    steps: bool = True


@dataclass(frozen=True, eq=False)
class Bench:
    """Map pictures and their places (N, 2) to search, pictures of queries and their places (Q, 2)."""

    maps: list[Picture]
    cells: NDArray[np.float64]
    queries: list[Picture]
    places: Places
    spacing_m: float

    def measure(self, network: torch.nn.Module, view: NetworkSettings) -> dict[str, Any]:
        """Recall of a network over all cells, and what a query costs (milliseconds of processor time)."""
        encoder = TorchEncoder(network, view, torch.device("cpu"))
        gallery = encode_maps(encoder, [picture.view(view.span_m, view.size) for picture in self.maps])
        near = (distance_m(self.cells[:, 0], self.cells[:, 1], *place) <= self.spacing_m for place in self.places)
        began = time.process_time()
        ranks = ranks_among(gallery, encode_frames(encoder, self.queries, self.spacing_m), near)
        spent = (time.process_time() - began) / max(1, len(self.queries)) * 1e3
        return {**recall(ranks), "ms": round(spent, 1)}


def rows(network: NetworkSettings, student: StudentSettings, taught: bool) -> list[Row]:
    """The variants: each loss left out, whitening, and how a code comes to know any heading. Four turns of the query
    cost what four stored rotations of every cell cost in time, without their memory; one turn is what rotation
    augmentation alone does."""
    alone = replace(student, regression=0.0, relational=0.0)
    table = [Row("closed form", network, alone, steps=False)]
    table.append(Row("own metric", network, alone))
    if taught:
        table += [
            Row("regression", network, replace(student, relational=0.0, metric=0.0)),
            Row("relational", network, replace(student, regression=0.0, metric=0.0)),
            Row("regression + relational", network, replace(student, metric=0.0)),
            Row("all three", network, student),
        ]
    table += [Row(f"own metric, whitening {power:g}", network, replace(alone, whiten=power)) for power in (0.0, 1.0)]
    table += [Row(f"own metric, {turns} turns", replace(network, turns=turns), alone) for turns in (1, 4, 8)]
    return table


def ablate(
    table: list[Row],
    scenes: Scenes,
    teacher: Teacher | None,
    bench: Bench,
    seconds: float,
    folder: Path,
    sources: dict[str, Any],
    world: World,
    report: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """Train every row for about ``seconds``, the closed form not counted, each in a folder of its own (a row that is
    done is not repeated, one of other ``sources`` or ``seconds`` is refused), and measure it. ``report`` gets each line
    as it is there. Raises TrainingError."""
    lines = []
    for row in table:
        line = _measured(row, scenes, teacher, bench, seconds, folder / row.name.replace(" ", "-"), sources, world)
        report(line)
        lines.append(line)
    return lines


def _measured(
    row: Row,
    scenes: Scenes,
    teacher: Teacher | None,
    bench: Bench,
    seconds: float,
    folder: Path,
    sources: dict[str, Any],
    world: World,
) -> dict[str, Any]:
    placed = replace(scenes, settings=replace(scenes.settings, turns=row.network.turns))
    needed = teacher if row.student.regression or row.student.relational else None

    def made() -> Student:
        return Student(row.network, placed, row.student, needed, world)

    if (folder / "checkpoint.pt").exists():  # a row that was begun keeps its number of steps; `fit` sees to the rest
        steps = int(json.loads((folder / "settings.json").read_text())["run"]["steps"])
    else:
        steps = _affordable(made(), seconds) if row.steps else 0
    run = RunSettings(placed.settings.seed, steps, RATE, warmup=max(1, steps // 20))
    student = made()
    claim = {"network": asdict(row.network), "student": asdict(row.student), "seconds": seconds, **sources}
    trained = fit(student, run, claim, folder, world)
    student.finish()
    parameters, operations = cost(student.network, row.network.size)
    size = {"parameters": parameters, "gflop": round(operations / 1e9, 3), "turns": row.network.turns}
    return {"row": row.name, **bench.measure(student.network, row.network), **size, "steps": steps, "s": round(trained)}


def _affordable(student: Student, seconds: float) -> int:
    """Steps that fit, from the time of a few; the student is spoilt by it."""
    optimizer = torch.optim.SGD([parameter for group in student.groups() for parameter in group["params"]], lr=0.0)
    spent = []
    for step in range(TIMED_STEPS):
        began = time.monotonic()
        sum(student.losses(step).values(), torch.zeros(())).backward()
        optimizer.step()
        spent.append(time.monotonic() - began)
    return max(1, round(seconds / float(np.median(spent))))
