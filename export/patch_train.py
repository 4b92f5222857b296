"""Training of the descriptor network: contrast between pairs of patches, hard negatives from all over the Earth."""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from export.keypoint_pairs import MARGIN_PX, STORED_PX, PatchPairs
from export.patch_network import DIM, PatchNet
from export.trainer import TrainingError
from onboard.geodesy import EARTH_RADIUS_M, unit_from_latlon
from onboard.patch_model import normalised
from onboard.patches import PATCH_PX

# Two patches nearer to one another overlap, and half a patch away show the same ground: pixels of the coarser map.
_ELSEWHERE_PX, _SAME_PX = 48, PATCH_PX // 2
_LIST = 200  # patches in a list of the search for hard negatives, about


@dataclass(frozen=True)
class PatchTrainSettings:
    """batch: pairs a step, half of them hard negatives of the other half, mined every ``mine_every`` steps among
    ``mined`` pairs; strangers: patches of cloud and noise a step; temperature: of the contrast."""

    batch: int = 512
    strangers: int = 128
    temperature: float = 0.07
    mine_every: int = 1000
    mined: int = 200_000
    seed: int = 0


class PatchRecipe:
    """A `Recipe` (export/trainer.py) for the descriptor network.

    network: what is trained; hard (N, 4): of every pair, as `mine` found them last, None until then. Raises
    TrainingError when there are too few pairs, or none of them has a stranger.
    """

    def __init__(self, pairs: PatchPairs, settings: PatchTrainSettings) -> None:
        if len(pairs) < settings.batch or not len(pairs.strangers):
            raise TrainingError(
                f"{len(pairs)} pairs and {len(pairs.strangers)} keypoints without a partner: a step takes "
                f"{settings.batch} pairs and draws {settings.strangers} of the others; make more with 'nadir export "
                "pairs --places'"
            )
        self.pairs, self.settings = pairs, settings
        torch.manual_seed(settings.seed)
        self.network = PatchNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.hard: NDArray[np.int64] | None = None

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.network.parameters()), "share": 1.0}]

    def start(self) -> None:
        """Nothing to prepare."""

    def state(self) -> dict[str, Any]:
        hard = None if self.hard is None else torch.from_numpy(self.hard)
        return {"network": self.network.state_dict(), "hard": hard}

    def load_state(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.hard = None if state["hard"] is None else state["hard"].numpy()

    def losses(self, step: int) -> dict[str, Tensor]:
        pairs, settings = self.pairs, self.settings
        if step > 0 and step % settings.mine_every == 0:
            self.hard = mine(self.network, pairs, settings, step)
        rng = np.random.default_rng((settings.seed, step))
        rows = draw_rows(rng, len(pairs), settings, self.hard)
        strangers = rng.integers(0, len(pairs.strangers), settings.strangers)
        views = [
            fade(_crop(pairs.frame[rows], rng), rng), _crop(pairs.map[rows], rng),
            fade(_crop(pairs.strangers[strangers], rng), rng),
        ]  # fmt: skip
        self.network.train()
        codes = normalize(self.network(torch.from_numpy(normalised(np.concatenate(views)))))
        frame, chart, stranger = codes.split([len(rows), len(rows), settings.strangers])
        same = _same_place(pairs, rows)
        return {
            "frame": contrast(frame, chart, same, settings.temperature),
            # A landmark must not be taken for a cloud either.
            "map": contrast(chart, torch.cat([frame, stranger]), same, settings.temperature),
        }


def contrast(queries: Tensor, keys: Tensor, same: Tensor, temperature: float) -> Tensor:
    """InfoNCE (van den Oord et al., arXiv 1807.03748): query i belongs to key i; queries (N, D), keys (M, D), M >= N.

    same (N, N) bool: pairs that show the same ground, neither asked for nor held against the query.
    """
    likeness = queries @ keys.T / temperature
    ignored = torch.zeros_like(likeness, dtype=torch.bool)
    ignored[:, : len(queries)] = same
    return cross_entropy(likeness.masked_fill(ignored, -torch.inf), torch.arange(len(queries)))


def draw_rows(
    rng: np.random.Generator, count: int, settings: PatchTrainSettings, hard: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Numbers (N,) of pairs, no more than a batch: half of one at random, with each of them one that looks like it
    (hard: (count, K)). Two may name the same one, so that a few are missing."""
    if hard is None:
        return rng.choice(count, settings.batch, replace=False)
    seeds = rng.choice(np.flatnonzero(hard[:, 0] >= 0), settings.batch // 2, replace=False)
    like = hard[seeds, rng.integers(0, hard.shape[1], len(seeds))]
    return np.unique(np.concatenate([seeds, like[like >= 0]]))


def mine(network: PatchNet, pairs: PatchPairs, settings: PatchTrainSettings, step: int) -> NDArray[np.int64]:
    """For each of ``settings.mined`` pairs four others whose map looks most like its frame, elsewhere on the Earth:
    (N, 4) numbers, -1 where not mined. Raises TrainingError when fewer than half a batch have one."""
    rng = np.random.default_rng((settings.seed, 1, step))
    rows = np.sort(rng.choice(len(pairs), min(settings.mined, len(pairs)), replace=False))
    inner = slice(MARGIN_PX, MARGIN_PX + PATCH_PX)
    frame, chart = (network.encode(side[rows][:, inner, inner]) for side in (pairs.frame, pairs.map))
    lists = int(np.clip(len(rows) // _LIST, 1, 512))
    finder = faiss.index_factory(DIM, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    finder.train(chart)
    finder.add(chart)
    finder.nprobe = 4  # type: ignore[attr-defined]
    _, near = finder.search(frame, 16)
    unit, gsd_m = unit_from_latlon(pairs.lat_deg[rows], pairs.lon_deg[rows]), pairs.gsd_m[rows]
    apart_m = np.linalg.norm(unit[near] - unit[:, None], axis=2) * EARTH_RADIUS_M
    elsewhere = apart_m > _ELSEWHERE_PX * np.maximum(gsd_m[near], gsd_m[:, None])
    # The four nearest that are elsewhere, by moving all others to the end.
    order = np.argsort(~(elsewhere & (near >= 0)), axis=1, kind="stable")[:, :4]
    chosen = np.where(np.take_along_axis(elsewhere & (near >= 0), order, 1), np.take_along_axis(near, order, 1), -1)
    hard = np.full((len(pairs), 4), -1, np.int64)
    hard[rows] = np.where(chosen >= 0, rows[chosen], -1)
    known = int((hard[:, 0] >= 0).sum())
    if known < settings.batch // 2:
        raise TrainingError(
            f"only {known} of {len(rows)} pairs have one elsewhere on the Earth that looks alike, of the "
            f"{settings.batch // 2} that a step takes: they come from too few places; make more with 'nadir export "
            "pairs --places'"
        )
    return hard


def _same_place(pairs: PatchPairs, rows: NDArray[np.int64]) -> Tensor:
    """Which pairs (N, N) lie within half a patch of one another, but for a pair and itself."""
    unit = unit_from_latlon(pairs.lat_deg[rows], pairs.lon_deg[rows])
    gsd_m = pairs.gsd_m[rows]
    near = unit @ unit.T > np.cos(_SAME_PX * np.maximum(gsd_m, gsd_m[:, None]) / EARTH_RADIUS_M)
    np.fill_diagonal(near, False)
    return torch.from_numpy(near)


def fade(patches: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Patches of frames (N, S, S), each with less contrast, then with noise: real frames have about two thirds of the
    local contrast of simulated ones (docs/results.md), and what a sensor and JPEG leave of faint texture is coarse."""
    each = (len(patches), 1, 1)
    contrast = rng.uniform(0.35, 1.0, each).astype(np.float32)
    noise = rng.uniform(0.0, 1.5, each).astype(np.float32) * rng.standard_normal(patches.shape, np.float32)
    mean = patches.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    return np.rint(mean + (patches - mean) * contrast + noise).clip(0, 255).astype(np.uint8)


def _crop(patches: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The middle of patches (N, STORED_PX, STORED_PX), moved by up to a pixel: keypoints repeat no better."""
    right, down = rng.integers(MARGIN_PX - 1, STORED_PX - PATCH_PX - MARGIN_PX + 2, 2)
    return patches[:, down : down + PATCH_PX, right : right + PATCH_PX]
