"""The student: the compact network, taught by a teacher, by its own pairs, or both (a `Recipe` of export/trainer.py).

It starts from the closed form of export/discriminant.py; with a teacher, that code is then turned as a whole (which
changes none of its distances) to lie as near to the teacher's as a turn can bring it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from export.astroloc import apart, teacher_codes
from export.discriminant import solve_head
from export.distillation import regression, relational
from export.loss import multi_similarity
from export.memory import Memory
from export.network import Network, NetworkSettings, cost
from export.parallel import World
from export.progress import Bar
from export.scenes import BEFORE, Pair, Scenes, pictures_of, views_of
from export.teacher import Teacher
from export.trainer import TrainingError
from export.whitening import Whitening

# What a flight computer is asked to bear.
MOST_PARAMETERS, MOST_OPERATIONS, MOST_DIM = 3e6, 0.5e9, 256
# What starts out solved or designed learns at this share of the rate.
SOLVED_RATE = 0.1
# Pairs a dimension that the whitening of a student is found from.
WHITENED = 16


@dataclass(frozen=True)
class StudentSettings:
    """pairs a step; regression, relational, metric: weights of the losses (the first two need a teacher); memory: codes
    of earlier steps that are negatives of the metric loss; closed_form_pairs of the start; whiten: power of the
    whitening (export/whitening.py), of the teacher's codes before they are taught, without a teacher of the
    student's."""

    pairs: int = 64
    regression: float = 1.0
    relational: float = 1.0
    metric: float = 1.0
    memory: int = 4096
    closed_form_pairs: int = 16_000
    whiten: float = 0.5


class Student:
    """Raises TrainingError for a network that is too large, a start of too few pairs, or losses that fit no teacher;
    ShareError for a batch that the processes cannot share."""

    def __init__(
        self, network: NetworkSettings, scenes: Scenes, settings: StudentSettings, teacher: Teacher | None, world: World
    ) -> None:
        torch.manual_seed(scenes.settings.seed)
        self.network = Network(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _check(self.network, network, settings, teacher)
        self.settings, self.scenes, self.world, self.view = settings, scenes, world, network
        world.share(settings.pairs)  # told now, not after the closed form
        self.wrapped = world.wrapped(self.network)
        taught = teacher.settings.dim if teacher else network.dim
        self.teacher = teacher.to(world.device).eval().requires_grad_(False) if teacher else None
        # Until `start` finds the directions that matter: the first ones.
        self.target = Whitening(torch.zeros(taught), torch.eye(taught, network.dim))
        self.memory = Memory(settings.memory, network.dim, world.device)

    def groups(self) -> list[dict[str, Any]]:
        net = self.network
        solved = [*net.stem.parameters(), *net.pool.parameters(), *net.head.parameters()]
        return [{"params": list(net.blocks.parameters()), "share": 1.0}, {"params": solved, "share": SOLVED_RATE}]

    def start(self) -> None:
        """The closed form, by every process alike."""
        taught: list[Tensor] = []
        seen: list[Tensor] = []

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for pairs in self._first_pairs(self.settings.closed_form_pairs):
                views = self._views(pairs)
                if self.teacher:
                    taught.append(self._taught(pairs).cpu())
                    seen.append(views)
                yield views[0::2], views[1::2]

        self.network.cpu()
        solve_head(self.network, batches())
        if self.teacher:
            self.target = Whitening.fitted(torch.cat(taught), self.view.dim, self.settings.whiten)
            with torch.no_grad():
                own = torch.cat([self.network.eval()(views) for views in seen])
            turn_head(self.network, own, self.target(torch.cat(taught)))
        self.network.to(self.world.device)

    def finish(self) -> None:
        """Without a teacher the codes are made uncorrelated here; with one they learn codes that already are."""
        if self.teacher is None and self.settings.whiten > 0:
            self.network.cpu().eval()
            with torch.no_grad():
                few = self._first_pairs(min(self.settings.closed_form_pairs, WHITENED * self.view.dim))
                codes = torch.cat([self.network(self._views(pairs)) for pairs in few])
            Whitening.fitted(codes, self.view.dim, self.settings.whiten).fold(self.network.head)

    def losses(self, step: int) -> dict[str, Tensor]:
        chosen = self.settings
        pairs = self.scenes.pairs(step, self.world.share(chosen.pairs))
        self.wrapped.train()
        codes = normalize(self.wrapped(self._views(pairs).to(self.world.device)), dim=1)
        maps, frames = (self.world.gathered(side.contiguous()) for side in (codes[0::2], codes[1::2]))
        parts: dict[str, Tensor] = {}
        if self.teacher:
            mine = self._taught(pairs)
            taught = torch.cat([self.world.gathered(side.contiguous()) for side in (mine[0::2], mine[1::2])])
            own = torch.cat([maps, frames])
            if chosen.regression:
                parts["regression"] = chosen.regression * regression(own, self.target(taught))
            if chosen.relational:
                parts["relational"] = chosen.relational * relational(own, taught)
        if chosen.metric:
            places = torch.tensor([pair.place for pair in pairs], dtype=torch.float64, device=self.world.device)
            parts["metric"] = chosen.metric * self._metric(step, maps, frames, self.world.gathered(places).cpu())
        return parts

    def state(self) -> dict[str, Any]:
        target = [self.target.mean, self.target.matrix]
        return {"network": self.network.state_dict(), "memory": self.memory.state(), "target": target}

    def load_state(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.memory.load_state(state["memory"])
        self.target = Whitening(*state["target"])

    def _metric(self, step: int, maps: Tensor, frames: Tensor, places: Tensor) -> Tensor:
        """Multi-similarity of frames against maps and the reverse, those remembered among the negatives."""
        others = torch.cat([places, self.memory.places])
        negative = apart(places.numpy(), others.numpy(), self.view.span_m).to(maps.device)
        positive = torch.zeros_like(negative)
        positive[:, : len(places)] = torch.eye(len(places), dtype=torch.bool, device=maps.device)
        loss = multi_similarity(frames, torch.cat([maps, self.memory.maps]), positive, negative)
        loss = loss + multi_similarity(maps, torch.cat([frames, self.memory.frames]), positive, negative)
        self.memory.add(maps, frames, places, (step + 1) * len(places) // 4)
        return loss

    def _taught(self, pairs: list[Pair]) -> Tensor:
        """The teacher's codes of map and frame by turns, (2 N, D)."""
        assert self.teacher is not None
        with torch.no_grad():
            return teacher_codes(self.teacher, self.teacher, pictures_of(pairs), self.world)

    def _views(self, pairs: list[Pair]) -> Tensor:
        """Map and frame by turns, (2 N, 1, size, size)."""
        return views_of(pictures_of(pairs), self.view.span_m, self.view.size)

    def _first_pairs(self, count: int) -> Iterator[list[Pair]]:
        """``count`` pairs, in batches, that no step shows."""
        batches = -(-count // self.settings.pairs)
        with Bar("batches of first pairs", batches, shown=self.world.leads) as bar:
            for index in range(batches):
                yield self.scenes.pairs(BEFORE + index, range(self.settings.pairs))
                bar.update()


def turn_head(network: Network, own: Tensor, taught: Tensor) -> None:
    """Turn the codes of a network, of which ``own`` (N, dim) are examples, towards the teacher's, (N, dim): the
    orthogonal Procrustes problem (Schönemann, Psychometrika 1966). Lengths and angles between codes stay."""
    left, _, right = torch.linalg.svd(normalize(own, dim=1).double().T @ taught.cpu().double())
    turn = (left @ right).to(network.head.weight)
    with torch.no_grad():
        network.head.weight.copy_(turn.T @ network.head.weight)
        network.head.bias.copy_(network.head.bias @ turn)


def _check(network: Network, view: NetworkSettings, settings: StudentSettings, teacher: Teacher | None) -> None:
    parameters, operations = cost(network, view.size)
    if parameters > MOST_PARAMETERS or operations > MOST_OPERATIONS or view.dim > MOST_DIM:
        raise TrainingError(
            f"a student of {parameters / 1e6:.2f} M parameters, {operations / 1e9:.2f} GFLOP and codes of {view.dim} "
            f"is too large for flight: at most {MOST_PARAMETERS / 1e6:g} M, {MOST_OPERATIONS / 1e9:g} GFLOP, {MOST_DIM}"
        )
    if 2 * settings.closed_form_pairs < view.dim:  # of each the map and the frame
        raise TrainingError(
            f"{settings.closed_form_pairs} pairs of the start are too few to find the {view.dim} directions of a code: "
            f"give at least --closed-form-pairs {-(-view.dim // 2)}"
        )
    if not (settings.metric or (teacher and (settings.regression or settings.relational))):
        raise TrainingError("nothing to learn from: without a teacher the weight of the metric loss must not be 0")
    if teacher and teacher.settings.turns > view.turns:
        raise TrainingError(
            f"the teacher knows frames to within half of 1/{teacher.settings.turns} turn, the student is to see "
            f"1/{view.turns}: give at least --turns {teacher.settings.turns}"
        )
    if teacher and teacher.settings.reach_m < view.reach_m:
        raise TrainingError(
            f"the teacher knows frames to within {teacher.settings.reach_m / 1e3:g} km, the student is to know them to "
            f"within {view.reach_m / 1e3:g}: give at most --reach-km {teacher.settings.reach_m / 1e3:g}"
        )
    if teacher and teacher.settings.dim < view.dim:
        raise TrainingError(f"codes of {view.dim} cannot be taught by a teacher's of {teacher.settings.dim}")
