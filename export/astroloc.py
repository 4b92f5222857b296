"""AstroLoc's recipe (Berton et al., arXiv 2502.07003): pairs of frame and map; places of one map cluster told apart."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from export.earth import angle_deg
from export.loss import multi_similarity
from export.mum import MapClusters
from export.parallel import World
from export.scenes import BEFORE, Scenes, pictures_of, views_of
from export.teacher import Teacher
from export.trainer import TrainingError
from export.whitening import Whitening
from onboard.geodesy import EARTH_RADIUS_M, Array

METRES_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_M
# Places nearer than this share ground in their views: neither the same place nor surely another.
APART_SPANS = 1.2
# First number of the random stream that draws clusters and places (export/scenes.py has others).
MUM = 12
EMBEDDED = 64  # views at a time
WHITENED = 2  # views a dimension of the code


@dataclass(frozen=True)
class AstroLocSettings:
    """pairs of frame and map a step; places of one cluster a step, each ``dates`` times; clusters: k of k-means, redone
    every ``recluster`` steps over map places spacing_m apart (at most ``pool``) and ``relevance`` frames."""

    pairs: int = 32
    places: int = 16
    dates: int = 2
    clusters: int = 50
    recluster: int = 2000
    spacing_m: float = 100e3
    pool: int = 20_000
    relevance: int = 4_000


class AstroLoc:
    """A `Recipe` (export/trainer.py) for a teacher. Raises TrainingError when the band has too few places, ShareError
    for a batch that the processes cannot share."""

    def __init__(self, teacher: Teacher, scenes: Scenes, settings: AstroLocSettings, world: World) -> None:
        self.teacher, self.scenes, self.settings, self.world = teacher, scenes, settings, world
        for count in (settings.pairs, settings.places * settings.dates):
            world.share(count)  # told now, not at the first step
        self.network = world.wrapped(teacher)
        pool = scenes.pool(settings.spacing_m)
        if len(pool) < 2:
            raise TrainingError(
                f"{len(pool)} places on land, {settings.spacing_m / 1e3:g} km apart and with no region held out in "
                "view, leave nothing to tell apart: give a smaller --spacing-km, or --span-km"
            )
        self.pool = np.random.default_rng([scenes.settings.seed, MUM]).permutation(pool)[: settings.pool]
        self.clusters: MapClusters | None = None

    def groups(self) -> list[dict[str, Any]]:
        return teacher_groups(self.teacher)

    def start(self) -> None:
        whiten_teacher(self.teacher, self.scenes, self.world)

    def losses(self, step: int) -> dict[str, Tensor]:
        chosen, seed = self.settings, self.scenes.settings.seed
        if step % chosen.recluster == 0 or self.clusters is None:
            self.clusters = self._found(step)
        pairs = self.scenes.pairs(step, self.world.share(chosen.pairs))
        rng = np.random.default_rng([seed, MUM, step])
        places = self.pool[self.clusters.draw(rng, chosen.places)].repeat(chosen.dates, axis=0)
        mine = self.world.share(len(places))
        dated = self.scenes.dated(step, mine, places[mine.start : mine.stop])
        codes = self._codes([pair.map for pair in pairs] + [pair.frame for pair in pairs] + dated)
        maps, frames, mined = (self.world.gathered(part) for part in codes.split([len(pairs), len(pairs), len(dated)]))
        seen = torch.tensor([pair.place for pair in pairs], dtype=torch.float64, device=self.world.device)
        where = self.world.gathered(seen).cpu().numpy()
        return {
            "pair": pair_loss(maps, frames, where, self.teacher.settings.span_m),
            "mum": place_loss(mined, places, self.teacher.settings.span_m),
        }

    def state(self) -> dict[str, Any]:
        found = self.clusters
        clusters = None if found is None else [torch.from_numpy(found.cluster), torch.from_numpy(found.share)]
        return {"teacher": self.teacher.state_dict(), "clusters": clusters}

    def load_state(self, state: dict[str, Any]) -> None:
        self.teacher.load_state_dict(state["teacher"])
        if state["clusters"] is not None:
            self.clusters = MapClusters(*(part.numpy() for part in state["clusters"]))

    def _codes(self, pictures: list) -> Tensor:
        return teacher_codes(self.network, self.teacher, pictures, self.world)

    def _found(self, step: int) -> MapClusters:
        """Every process embeds all of it: the same places in the same clusters, without talking."""
        chosen, frames = self.settings, []
        maps = map_codes(self.teacher, self.scenes, self.pool, self.world)
        with torch.no_grad():
            for at in range(0, chosen.relevance, EMBEDDED):
                # Numbers that no pair of a step has.
                items = range(chosen.pairs + at, chosen.pairs + min(at + EMBEDDED, chosen.relevance))
                pictures = [pair.frame for pair in self.scenes.pairs(step, items)]
                frames.append(teacher_codes(self.teacher, self.teacher, pictures, self.world).cpu())
        seed = self.scenes.settings.seed + step
        return MapClusters.found(maps.numpy(), torch.cat(frames).numpy(), chosen.clusters, seed)


def teacher_codes(network: torch.nn.Module, teacher: Teacher, pictures: list, world: World) -> Tensor:
    """Unit codes (N, dim) float32 of pictures; ``network`` is the teacher or what wraps it."""
    views = views_of(pictures, teacher.settings.span_m, teacher.settings.size).to(world.device)
    with torch.autocast(world.device.type, torch.bfloat16, world.device.type == "cuda"):
        return network(views)


def map_codes(teacher: Teacher, scenes: Scenes, places: Array, world: World) -> Tensor:
    """Codes (N, dim) of the map at places (N, 2), on the CPU; nothing is learned from them."""
    with torch.no_grad():
        parts = [
            teacher_codes(teacher, teacher, scenes.maps(places[at : at + EMBEDDED]), world).cpu()
            for at in range(0, len(places), EMBEDDED)
        ]
    return torch.cat(parts)


def whiten_teacher(teacher: Teacher, scenes: Scenes, world: World) -> None:
    """Make the codes of a fresh teacher centred and uncorrelated, on maps and frames that no step will show; every
    process does the same. They all point nearly the same way otherwise, or spread in few directions: a metric loss has
    no slope to leave that by, and a classification's is towards it."""
    codes = []
    with torch.no_grad():
        for index in range(-(-WHITENED * teacher.settings.dim // EMBEDDED)):
            pictures = pictures_of(scenes.pairs(BEFORE + index, range(EMBEDDED // 2)))
            views = views_of(pictures, teacher.settings.span_m, teacher.settings.size).to(world.device)
            codes.append(teacher.projected(views).cpu())
    Whitening.fitted(torch.cat(codes), teacher.settings.dim, 1.0).fold(teacher.projection)


def teacher_groups(teacher: Teacher) -> list[dict[str, Any]]:
    """What is trained; a pretrained backbone at a tenth of the rate."""
    backbone = [parameter for parameter in teacher.backbone.parameters() if parameter.requires_grad]
    head = [*teacher.pool.parameters(), *teacher.projection.parameters()]
    return [{"params": head, "share": 1.0}, {"params": backbone, "share": 0.1 if teacher.backbone.pretrained else 1.0}]


def pair_loss(maps: Tensor, frames: Tensor, places: Array, span_m: float) -> Tensor:
    """Multi-similarity of frames against maps and the reverse; codes (N, D) row by row of the same place (N, 2)."""
    positive = torch.eye(len(maps), dtype=torch.bool, device=maps.device)
    negative = apart(places, places, span_m).to(maps.device)
    return multi_similarity(frames, maps, positive, negative) + multi_similarity(maps, frames, positive, negative)


def place_loss(codes: Tensor, places: Array, span_m: float) -> Tensor:
    """Multi-similarity of codes (N, D) of places (N, 2) among themselves: rows of equal places belong together."""
    same = torch.from_numpy((places[:, None] == places[None]).all(2)).to(codes.device)
    itself = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    return multi_similarity(codes, codes, same & ~itself, apart(places, places, span_m).to(codes.device))


def apart(places: Array, others: Array, span_m: float) -> Tensor:
    """(N, M) bool: pairs of places (N, 2) and (M, 2) whose views share no ground."""
    degrees = angle_deg(places[:, 0], places[:, 1], others[:, 0], others[:, 1])
    return torch.from_numpy(degrees * METRES_PER_DEGREE > APART_SPANS * span_m)
