"""The loop every training shares: steps, rate, checkpoints that resume exactly, a log, progress."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from export.json_file import write_json
from export.parallel import World
from export.progress import Bar
from onboard.errors import NadirError
from onboard.whole_file import whole, write_whole

LOG_EVERY = 20
CLIP = 1.0  # norm of the gradient


class TrainingError(NadirError):
    """A training that cannot start or resume as asked."""


class Recipe(Protocol):
    """What is trained, and on what. All that its steps depend on is the network, `state` and the step's number."""

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups: params, and share, that of the rate they learn at."""

    def start(self) -> None:
        """Before step 0, once: a training that is resumed does not see it."""

    def losses(self, step: int) -> dict[str, Tensor]:
        """The parts of the step's loss, which is their sum."""

    def state(self) -> dict[str, Any]:
        """What must be saved besides the optimizer: tensors, numbers, texts, lists and dicts of them."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""


@dataclass(frozen=True)
class RunSettings:
    """steps of AdamW (Loshchilov and Hutter, ICLR 2019) at a rate that rises for ``warmup`` steps and falls in a half
    cosine."""

    seed: int
    steps: int
    rate: float
    weight_decay: float = 0.02
    warmup: int = 50
    checkpoint_every: int = 100

    def rate_share(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        return 0.5 * (1 + float(np.cos(np.pi * (step - self.warmup) / max(1, self.steps - self.warmup))))


def fit(recipe: Recipe, run: RunSettings, configuration: dict[str, Any], folder: Path, world: World) -> float:
    """Train until run.steps, resuming from ``folder``/checkpoint.pt; returns the seconds that took, its start and what
    went before an interruption included.

    Writes settings.json (``configuration`` and ``run``), checkpoint.pt and log.jsonl. Raises TrainingError when the
    folder holds another training, or a checkpoint that is damaged.
    """
    began = time.monotonic()
    settings = json.loads(json.dumps({**configuration, "run": asdict(run)}))
    optimizer = torch.optim.AdamW(recipe.groups(), lr=run.rate, weight_decay=run.weight_decay)
    checkpoint = folder / "checkpoint.pt"
    step = 0
    if checkpoint.exists():
        saved = _read(checkpoint)
        if json.loads(saved["settings"]) != settings:
            raise TrainingError(f"{checkpoint}: was made with other settings; train into another folder or remove it")
        recipe.load_state(saved["recipe"])
        optimizer.load_state_dict(saved["optimizer"])
        step = int(saved["step"])
        began -= float(saved.get("s", 0.0))  # untold by checkpoints of before
    else:
        torch.manual_seed(run.seed)
        recipe.start()
    world.wait()  # nobody writes before all have read
    if world.leads:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "settings.json", settings)
        if not checkpoint.exists():
            _save(checkpoint, recipe, optimizer, 0, began, settings)
    bar = Bar("steps", run.steps, step, world.leads)
    log = _Log(folder / "log.jsonl", bar, step, began) if world.leads else None
    while step < run.steps:
        for group in optimizer.param_groups:
            group["lr"] = run.rate * group["share"] * run.rate_share(step)
        parts = recipe.losses(step)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        for group in optimizer.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], CLIP)
        optimizer.step()
        step += 1
        bar.update()
        if log:
            log.add(step, parts)
            if step % run.checkpoint_every == 0 or step == run.steps:
                _save(checkpoint, recipe, optimizer, step, began, settings)
    bar.close()
    world.wait()
    return time.monotonic() - began


class _Log:
    """Means of the losses' parts, a JSON line every LOG_EVERY steps; those beyond ``step``, which are done again, are
    dropped."""

    def __init__(self, path: Path, bar: Bar, step: int, began: float) -> None:
        self._path, self._bar, self._began = path, bar, began
        self._parts: list[dict[str, Tensor]] = []
        if path.exists():
            write_whole(path, "".join(path.read_text().splitlines(keepends=True)[: step // LOG_EVERY]))

    def add(self, step: int, parts: dict[str, Tensor]) -> None:
        self._parts.append({name: value.detach() for name, value in parts.items()})
        if step % LOG_EVERY:
            return
        # Only here is a number asked of the device, which would otherwise wait every step.
        means = {
            name: round(float(sum(float(part[name]) for part in self._parts)) / len(self._parts), 4) for name in parts
        }
        line = {"step": step, **means, "s": round(time.monotonic() - self._began, 1)}
        with self._path.open("a") as log:
            log.write(json.dumps(line) + "\n")
        self._bar.set_postfix(means, refresh=False)
        self._parts = []


def _save(
    path: Path, recipe: Recipe, optimizer: torch.optim.Optimizer, step: int, began: float, settings: dict[str, Any]
) -> None:
    saved = {"recipe": recipe.state(), "optimizer": optimizer.state_dict(), "step": step, "s": time.monotonic() - began}
    with whole(path) as part:
        torch.save({**saved, "settings": json.dumps(settings)}, part)


def _read(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds
        raise TrainingError(f"{path}: not a checkpoint of this program ({error}); remove it to start anew") from error
