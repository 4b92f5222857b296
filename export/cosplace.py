"""CosPlace's recipe (Berton et al., CVPR 2022): classify views into cells of ground, one group after another.

No pairs are mined and no clusters found: the cost is linear in the views. As in EigenPlaces (Berton et al., ICCV 2023)
a class holds views of two kinds, dated map and frame, which meet in its weight. They lie within the search's reach of
the cell's middle.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from export.astroloc import map_codes, teacher_codes, teacher_groups, whiten_teacher
from export.cell_classes import CellClasses
from export.loss import cosface
from export.parallel import World
from export.scenes import Photograph, Scenes
from export.teacher import Teacher
from export.trainer import TrainingError
from onboard.geodesy import Array, distance_m

# First number of the random stream that draws classes.
CLASSES = 13


@dataclass(frozen=True)
class CosPlaceSettings:
    """views a step, half of them dated maps, half frames; cell_m: side of a cell; stride: neighbours in a group are so
    many cells apart; turn: steps that one group is trained before the next."""

    views: int = 64
    cell_m: float = 100e3
    stride: int = 4
    turn: int = 200


class CosPlace:
    """A `Recipe` (export/trainer.py) for a teacher. Raises TrainingError when the band has too little land for a
    group, ShareError for a batch that the processes cannot share."""

    def __init__(self, teacher: Teacher, scenes: Scenes, settings: CosPlaceSettings, world: World) -> None:
        self.teacher, self.scenes, self.settings, self.world = teacher, scenes, settings, world
        world.share(settings.views)  # told now, not at the first step
        self.network = world.wrapped(teacher)
        self.classes = CellClasses.tiled(scenes, settings.cell_m, settings.stride)
        if not self.classes.sizes:
            raise TrainingError(
                f"too little land for classes of {settings.cell_m / 1e3:g} km and a stride of {settings.stride}"
            )
        self.photographs = _by_class(scenes.photographs, self.classes.places, settings.cell_m)
        # Outside the wrapped network: every process computes the whole batch's loss, so that these gradients are whole.
        self.weights = nn.ParameterList(
            nn.Parameter(torch.zeros(size, teacher.settings.dim, device=world.device)) for size in self.classes.sizes
        )

    def groups(self) -> list[dict[str, Any]]:
        return [*teacher_groups(self.teacher), {"params": list(self.weights), "share": 1.0}]

    def start(self) -> None:
        whiten_teacher(self.teacher, self.scenes, self.world)

    def imprint(self, group: int) -> None:
        """Make the weights of a group the codes of its cells' maps (Qi et al., CVPR 2018). Random ones all learn first
        what the codes have in common, until every code and every weight is the same; a network from scratch does not
        leave that again (and forgets, while other groups have their turns, what weights it was trained with)."""
        places = self.classes.places[self.classes.group == group]
        codes = map_codes(self.teacher, self.scenes, places, self.world)
        with torch.no_grad():
            self.weights[group].copy_(codes)

    def losses(self, step: int) -> dict[str, Tensor]:
        turn, into = divmod(step, self.settings.turn)
        group = turn % len(self.classes.sizes)
        if into == 0:
            self.imprint(group)
        rng = np.random.default_rng([self.scenes.settings.seed, CLASSES, step])
        drawn = rng.choice(np.flatnonzero(self.classes.group == group), self.settings.views)
        mine = self.world.share(self.settings.views)
        half = [item for item in mine if item % 2], [item for item in mine if not item % 2]
        places = self.classes.places[drawn]
        own = [self.photographs.get(number, []) for number in drawn[half[0]].tolist()]
        pictures = self.scenes.frames(step, half[0], places[half[0]], own)
        pictures += self.scenes.dated(step, half[1], places[half[1]])
        codes = self.world.gathered(teacher_codes(self.network, self.teacher, pictures, self.world))
        label = torch.from_numpy(self.classes.class_of[drawn[[*half[0], *half[1]]]]).to(self.world.device)
        cosine = linear(codes, normalize(self.weights[group]))
        return {"cosface": cosface(cosine, self.world.gathered(label))}

    def state(self) -> dict[str, Any]:
        return {"teacher": self.teacher.state_dict(), "weights": self.weights.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.teacher.load_state_dict(state["teacher"])
        self.weights.load_state_dict(state["weights"])


def _by_class(photographs: tuple[Photograph, ...], places: Array, cell_m: float) -> dict[int, list[Photograph]]:
    """The photographs within half a cell of each class's centre."""
    found: dict[int, list[Photograph]] = {}
    for photograph in photographs:
        way = distance_m(places[:, 0], places[:, 1], photograph.lat_deg, photograph.lon_deg)
        if way.min() <= cell_m / 2:
            found.setdefault(int(way.argmin()), []).append(photograph)
    return found
