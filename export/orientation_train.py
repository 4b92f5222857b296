"""Training of the orientation network: map and frame, each turned as chance will, must choose the same direction."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.orientation_network import OrientationNet
from export.patch_pairs import turned_pairs
from export.patch_train import fade
from export.views import Views
from onboard.orientation import BIN_DEG, BINS, peaks
from onboard.patch_model import normalised

_LEAST = 2e-3  # added to the chance of agreement: ground that clouds hide can never agree, and must not rule
_FIT_DEG = 20.0


@dataclass(frozen=True)
class OrientationSettings:
    """batch: pairs a step; place_px: how far a frame's keypoint lies beside the map's at most, an axis."""

    batch: int = 512
    place_px: float = 2.0
    seed: int = 0


class OrientationRecipe:
    """A `Recipe` (export/trainer.py) for the orientation network.

    Each network output is a distribution over directions. The loss is the log of the chance that a direction drawn from
    the frame's falls within one bin and a half of one drawn from the map's: nobody says which direction is right, only
    that both have to choose it. As a patch may come turned in any way, an even distribution is the worst that is safe.
    """

    def __init__(self, views: Views, settings: OrientationSettings) -> None:
        self.views, self.settings = views, settings
        torch.manual_seed(settings.seed)
        self.network = OrientationNet()

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.network.parameters()), "share": 1.0}]

    def start(self) -> None:
        """Nothing to prepare."""

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])

    def losses(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.settings.seed, step))
        rows = rng.integers(0, len(self.views.view), self.settings.batch)
        frame, chart, turn_deg = turned_pairs(self.views, rows, self.settings.place_px, rng)
        self.network.train()
        patches = np.concatenate([fade(frame, rng), chart])
        seen, known = torch.softmax(self.network(torch.from_numpy(normalised(patches))), dim=1).chunk(2)
        return {"agreement": -torch.log(agreement(seen, known, turn_deg) + _LEAST).mean()}


def agreement(seen: Tensor, known: Tensor, turn_deg: NDArray[np.float32]) -> Tensor:
    """The chance (N,) that directions drawn from two distributions (N, BINS), one of a patch turned clockwise by
    ``turn_deg`` (N,) from the other's, fall within one bin and a half of one another."""
    bins = torch.from_numpy((turn_deg / BIN_DEG).astype(np.float32))[:, None]
    # Bin k of the frame looks where bin k + turn of the map does, which lies between two bins.
    low = torch.floor(bins)
    share, at = bins - low, (torch.arange(BINS)[None] + low.long()) % BINS
    there = (1 - share) * known.gather(1, at) + share * known.gather(1, (at + 1) % BINS)
    return (seen * (there + torch.roll(there, 1, 1) + torch.roll(there, -1, 1))).sum(dim=1)


def fit_shares(network: OrientationNet, views: Views, count: int, most: int, seed: int) -> list[float]:
    """On what share of ``count`` keypoints one of the frame's 1, 2, ... ``most`` likeliest directions is the map's
    likeliest, to _FIT_DEG."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(views.view), count)
    frame, chart, turn_deg = turned_pairs(views, rows, OrientationSettings.place_px, rng)
    network.eval()
    with torch.inference_mode():
        seen, known = (network(torch.from_numpy(normalised(side))).numpy() for side in (frame, chart))
    _, map_deg, _ = peaks(known, 1)
    fits = np.zeros(count, bool)
    shares = []
    for number in range(1, most + 1):
        keypoint, angle_deg, _ = peaks(seen, number)
        off = (angle_deg - map_deg[keypoint] + turn_deg[keypoint] + 180) % 360 - 180
        fits[keypoint[np.abs(off) < _FIT_DEG]] = True
        shares.append(float(fits.mean()))
    return shares
