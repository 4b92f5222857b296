"""Training: pairs of map and look drawn fresh every step, one metric loss, checkpoints that resume exactly.

The start is the closed form of export/discriminant.py on ``closed_form_pairs``; the steps refine it.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import tqdm

from export.discriminant import solve_head
from export.earth import angle_deg
from export.looks import Studio
from export.loss import multi_similarity
from export.network import Network, NetworkSettings
from export.regions import held_out
from onboard.errors import NadirError
from onboard.geodesy import EARTH_RADIUS_M, Array

# Places nearer than this share ground in their views: neither the same place nor surely another.
APART_SPANS = 1.2
# What starts out solved or designed learns at this share of the rate.
SOLVED_RATE = 0.1
METRES_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_M


class TrainingError(NadirError):
    """A training that cannot start or resume as asked."""


@dataclass(frozen=True)
class TrainSettings:
    """steps of ``batch`` pairs; memory: how many codes of earlier steps serve as further negatives (cross-batch
    memory, Wang et al., CVPR 2020); max_offset_m: how far a look may lie from its map view."""

    seed: int = 0
    closed_form_pairs: int = 16_000
    steps: int = 1000
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.02
    warmup: int = 50
    memory: int = 4096
    max_offset_m: float = 30e3
    band_deg: tuple[float, float] = (-62.0, 62.0)
    min_land: float = 0.15
    checkpoint_every: int = 100


@dataclass(eq=False)
class State:
    """All that a step changes."""

    network: Network
    optimizer: torch.optim.Optimizer
    step: int
    memory: dict[str, Tensor]  # map and look codes (M, dim), places (M, 2) lat and lon in degrees


def start(network: NetworkSettings, train: TrainSettings) -> State:
    """A fresh state, the same for the same seed."""
    torch.manual_seed(train.seed)
    model = Network(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    solved = [*model.stem.parameters(), *model.pool.parameters(), *model.head.parameters()]
    groups = [{"params": list(model.blocks.parameters()), "share": 1.0}, {"params": solved, "share": SOLVED_RATE}]
    optimizer = torch.optim.AdamW(groups, lr=train.rate, weight_decay=train.weight_decay)
    empty = {"map": torch.zeros(0, network.dim), "look": torch.zeros(0, network.dim), "place": torch.zeros(0, 2)}
    return State(model, optimizer, 0, empty)


def draw_batch(studio: Studio, train: TrainSettings, turns: int, step: int) -> tuple[Tensor, Tensor, Array]:
    """Map views, looks (batch, 1, size, size) and places (batch, 2) of one step: a function of seed and step alone."""
    rng = np.random.default_rng([train.seed, step])
    places: list[tuple[float, float]] = []
    maps, looks = [], []
    while len(places) < train.batch:
        place = studio.earth.draw_place(rng, train.band_deg, train.min_land)
        if held_out(*place):
            continue
        places.append(place)
        maps.append(studio.map_view(*place))
        # The search turns the frame in steps: what is left of the heading is a little more than half a step.
        heading = rng.uniform(-0.6, 0.6) * 360 / turns
        looks.append(studio.look_view(rng, *place, heading, train.max_offset_m))
    return torch.from_numpy(np.stack(maps)), torch.from_numpy(np.stack(looks)), np.array(places)


def step_once(state: State, studio: Studio, network: NetworkSettings, train: TrainSettings) -> float:
    """One step of AdamW; returns the loss."""
    maps, looks, places = draw_batch(studio, train, network.turns, state.step)
    for group in state.optimizer.param_groups:
        group["lr"] = train.rate * group["share"] * rate_share(state.step, train)
    state.network.train()
    views = torch.cat([maps, looks]).contiguous(memory_format=torch.channels_last)
    map_codes, look_codes = normalize(state.network(views)).chunk(2)
    place = torch.from_numpy(places).float()
    remembered = torch.cat([place, state.memory["place"]]).double().numpy()
    apart = angle_deg(places[:, 0], places[:, 1], remembered[:, 0], remembered[:, 1]) * METRES_PER_DEGREE
    negative = torch.from_numpy(apart > APART_SPANS * network.span_m)
    positive = torch.zeros_like(negative)
    positive[:, : len(places)] = torch.eye(len(places), dtype=torch.bool)
    loss = multi_similarity(look_codes, torch.cat([map_codes, state.memory["map"]]), positive, negative)
    loss = loss + multi_similarity(map_codes, torch.cat([look_codes, state.memory["look"]]), positive, negative)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimizer.step()
    state.step += 1
    # Codes drift fast at first; stale ones would mislead.
    keep = min(train.memory, state.step * train.batch // 4)
    for name, new in (("map", map_codes.detach()), ("look", look_codes.detach()), ("place", place)):
        state.memory[name] = torch.cat([new, state.memory[name]])[:keep]
    return float(loss.detach())


def _closed_form_batches(
    studio: Studio, network: NetworkSettings, train: TrainSettings
) -> Iterator[tuple[Tensor, Tensor]]:
    batches = -(-train.closed_form_pairs // train.batch)
    for index in tqdm(range(batches), desc="closed form", unit="batch", disable=None):
        # Steps that training will not reach, so that no pair is drawn twice.
        maps, looks, _ = draw_batch(studio, train, network.turns, train.steps + index)
        yield maps, looks


def rate_share(step: int, train: TrainSettings) -> float:
    """Linear warm-up, then a half cosine to zero."""
    if step < train.warmup:
        return (step + 1) / train.warmup
    return 0.5 * (1 + float(np.cos(np.pi * (step - train.warmup) / max(1, train.steps - train.warmup))))


def fit(studio: Studio, network: NetworkSettings, train: TrainSettings, folder: Path) -> State:
    """Train until train.steps, resuming from ``folder``/checkpoint.pt when it is of the same settings.

    Writes checkpoint.pt, settings.json and log.jsonl. Raises TrainingError when the folder holds another training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"network": asdict(network), "train": asdict(train)}
    state = start(network, train)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        load_checkpoint(checkpoint, state, settings)
    (folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n")
    if state.step == 0 and not checkpoint.exists():
        solve_head(state.network, _closed_form_batches(studio, network, train))
        save_checkpoint(checkpoint, state, settings)
    bar = tqdm(total=train.steps, initial=state.step, unit="step", disable=None)
    began, losses = time.monotonic(), []
    while state.step < train.steps:
        losses.append(step_once(state, studio, network, train))
        bar.update()
        if state.step % 20 == 0:
            seconds = round(time.monotonic() - began, 1)
            line = {"step": state.step, "loss": round(float(np.mean(losses)), 4), "s": seconds}
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            bar.set_postfix(loss=line["loss"])
            losses = []
        if state.step % train.checkpoint_every == 0 or state.step == train.steps:
            save_checkpoint(checkpoint, state, settings)
    bar.close()
    return state


def save_checkpoint(path: Path, state: State, settings: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {
            "network": state.network.state_dict(), "optimizer": state.optimizer.state_dict(), "step": state.step,
            "memory": state.memory, "settings": json.dumps(settings),
        },
        part,
    )  # fmt: skip
    part.replace(path)


def load_checkpoint(path: Path, state: State, settings: dict[str, Any] | None = None) -> None:
    """Put a checkpoint's values into ``state``; with ``settings``, refuse one made with others."""
    saved = read_checkpoint(path)
    if settings is not None and json.loads(saved["settings"]) != json.loads(json.dumps(settings)):
        raise TrainingError(f"{path}: was made with other settings; train into another folder or remove it")
    state.network.load_state_dict(saved["network"])
    state.optimizer.load_state_dict(saved["optimizer"])
    state.step, state.memory = saved["step"], saved["memory"]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; TrainingError when it is missing or damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds
        raise TrainingError(f"{path}: not a checkpoint of this program ({error})") from error
