"""Training of the descriptor network: contrast between pairs of patches, hard negatives from all over the Earth."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from tqdm import tqdm

from export.keypoint_pairs import MARGIN_PX, STORED_PX, PatchPairs
from export.patch_network import DIM, PatchNet
from export.train import TrainingError, rate_share, read_checkpoint
from onboard.describer import normalised
from onboard.geodesy import EARTH_RADIUS_M, unit_from_latlon
from onboard.patches import PATCH_PX

# Two patches nearer to one another overlap.
_ELSEWHERE_M = 45e3
_LIST = 200  # patches in a list of the search for hard negatives, about


@dataclass(frozen=True)
class PatchTrainSettings:
    """batch: pairs a step; strangers: patches of cloud and noise a step; temperature: of the contrast; hard_share: of a
    batch that are hard negatives of others in it, mined every ``mine_every`` steps among ``mined`` pairs."""

    steps: int = 6000
    batch: int = 512
    strangers: int = 128
    rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-3
    temperature: float = 0.07
    hard_share: float = 0.5
    mine_every: int = 1000
    mined: int = 200_000
    checkpoint_every: int = 250
    seed: int = 0


@dataclass
class PatchState:
    """All that a step changes. hard (N, 4): of every pair, `mine`; None until mined for the first time."""

    network: PatchNet
    optimizer: torch.optim.Optimizer
    step: int = 0
    hard: NDArray[np.int64] | None = None


def fit_patches(pairs: PatchPairs, train: PatchTrainSettings, folder: Path) -> PatchNet:
    """Train until ``train.steps``, resuming from ``folder``/checkpoint.pt. Writes checkpoint.pt, settings.json and
    log.jsonl. Raises TrainingError when the folder holds another training."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(train.seed)
    network = PatchNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=train.rate, weight_decay=train.weight_decay)
    state, settings = PatchState(network, optimizer), json.loads(json.dumps(asdict(train) | {"pairs": len(pairs)}))
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        _load(checkpoint, state, settings)
    (folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n")
    began, losses = time.monotonic(), []
    for step in tqdm(range(state.step, train.steps), initial=state.step, total=train.steps, unit="step", disable=None):
        if step > 0 and step % train.mine_every == 0:
            state.hard = mine(network, pairs, train, step)
        losses.append(_step(state, pairs, train))
        if state.step % 50 == 0:
            line = {"step": state.step, "loss": round(float(np.mean(losses)), 4), "s": round(time.monotonic() - began)}
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            losses = []
        if state.step % train.checkpoint_every == 0 or state.step == train.steps:
            _save(checkpoint, state, settings)
    return network


def _step(state: PatchState, pairs: PatchPairs, train: PatchTrainSettings) -> float:
    rng = np.random.default_rng((train.seed, state.step))
    for group in state.optimizer.param_groups:
        group["lr"] = train.rate * rate_share(state.step, train)  # type: ignore[arg-type]
    rows = draw_rows(rng, len(pairs), train, state.hard)
    strangers = rng.integers(0, len(pairs.strangers), train.strangers)
    views = [_crop(pairs.frame[rows], rng), _crop(pairs.map[rows], rng), _crop(pairs.strangers[strangers], rng)]
    state.network.train()
    codes = normalize(state.network(torch.from_numpy(normalised(np.concatenate(views)))))
    frame, chart, stranger = codes.split([len(rows), len(rows), train.strangers])
    same = _same_place(pairs, rows)
    loss = contrast(frame, chart, same, train.temperature)
    # A landmark must not be taken for a cloud either.
    loss = loss + contrast(chart, torch.cat([frame, stranger]), same, train.temperature)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.optimizer.step()
    state.step += 1
    return float(loss.detach())


def contrast(queries: Tensor, keys: Tensor, same: Tensor, temperature: float) -> Tensor:
    """InfoNCE (van den Oord et al., arXiv 1807.03748): query i belongs to key i; queries (N, D), keys (M, D), M >= N.

    same (N, N) bool: pairs that show the same ground, neither asked for nor held against the query.
    """
    likeness = queries @ keys.T / temperature
    ignored = torch.zeros_like(likeness, dtype=torch.bool)
    ignored[:, : len(queries)] = same
    return cross_entropy(likeness.masked_fill(ignored, -torch.inf), torch.arange(len(queries)))


def draw_rows(
    rng: np.random.Generator, count: int, train: PatchTrainSettings, hard: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Numbers (batch,) of pairs: some at random, with each of them some that look like it (hard: (count, K))."""
    if hard is None:
        return rng.choice(count, train.batch, replace=False)
    known = np.flatnonzero(hard[:, 0] >= 0)
    seeds = rng.choice(known, train.batch, replace=False)
    like = hard[seeds, rng.integers(0, hard.shape[1], train.batch)]
    rows = np.unique(np.concatenate([seeds[: round(train.batch * (1 - train.hard_share))], like[like >= 0]]))
    return rng.permutation(rows)[: train.batch]


def mine(network: PatchNet, pairs: PatchPairs, train: PatchTrainSettings, step: int) -> NDArray[np.int64]:
    """For each of ``train.mined`` pairs four others whose map looks most like its frame, elsewhere on the Earth:
    (N, 4) numbers, -1 where not mined."""
    rng = np.random.default_rng((train.seed, 1, step))
    rows = np.sort(rng.choice(len(pairs), min(train.mined, len(pairs)), replace=False))
    inner = slice(MARGIN_PX, MARGIN_PX + PATCH_PX)
    frame, chart = (network.encode(side[rows][:, inner, inner]) for side in (pairs.frame, pairs.map))
    lists = int(np.clip(len(rows) // _LIST, 1, 512))
    finder = faiss.index_factory(DIM, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    finder.train(chart)
    finder.add(chart)
    finder.nprobe = 4  # type: ignore[attr-defined]
    _, near = finder.search(frame, 16)
    unit = unit_from_latlon(pairs.lat_deg[rows], pairs.lon_deg[rows])
    elsewhere = np.linalg.norm(unit[near] - unit[:, None], axis=2) * EARTH_RADIUS_M > _ELSEWHERE_M
    # The four nearest that are elsewhere, by moving all others to the end.
    order = np.argsort(~(elsewhere & (near >= 0)), axis=1, kind="stable")[:, :4]
    chosen = np.where(np.take_along_axis(elsewhere & (near >= 0), order, 1), np.take_along_axis(near, order, 1), -1)
    hard = np.full((len(pairs), 4), -1, np.int64)
    hard[rows] = np.where(chosen >= 0, rows[chosen], -1)
    hard[rows[chosen[:, 0] < 0]] = -1
    return hard


def _same_place(pairs: PatchPairs, rows: NDArray[np.int64]) -> Tensor:
    """Which pairs (N, N) lie within half a patch of one another, but for a pair and itself."""
    unit = unit_from_latlon(pairs.lat_deg[rows], pairs.lon_deg[rows])
    near = unit @ unit.T > np.cos(_ELSEWHERE_M / 3 / EARTH_RADIUS_M)
    np.fill_diagonal(near, False)
    return torch.from_numpy(near)


def _crop(patches: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The middle of patches (N, STORED_PX, STORED_PX), moved by up to a pixel: keypoints repeat no better."""
    right, down = rng.integers(MARGIN_PX - 1, STORED_PX - PATCH_PX - MARGIN_PX + 2, 2)
    return patches[:, down : down + PATCH_PX, right : right + PATCH_PX]


def _save(path: Path, state: PatchState, settings: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {
            "network": state.network.state_dict(), "optimizer": state.optimizer.state_dict(), "step": state.step,
            "settings": json.dumps(settings), "hard": None if state.hard is None else torch.from_numpy(state.hard),
        },
        part,
    )  # fmt: skip
    part.replace(path)


def _load(path: Path, state: PatchState, settings: dict[str, Any]) -> None:
    saved = read_checkpoint(path)
    if json.loads(saved["settings"]) != settings:
        raise TrainingError(f"{path}: was made with other settings or pairs; train into another folder or remove it")
    state.network.load_state_dict(saved["network"])
    state.optimizer.load_state_dict(saved["optimizer"])
    state.step = saved["step"]
    state.hard = None if saved["hard"] is None else saved["hard"].numpy()
