"""A network being trained behind the face of `onboard.encoder.Encoder`, to be measured."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import normalize

from export.network import NetworkSettings
from export.teacher import TeacherSettings

BATCH = 64


class TorchEncoder:
    """A `ViewEncoder`: a teacher or a student on a device."""

    def __init__(self, network: nn.Module, settings: TeacherSettings | NetworkSettings, device: torch.device) -> None:
        self._network, self._device = network.to(device).eval(), device
        self.span_m, self.size, self.dim = settings.span_m, settings.size, settings.dim
        self.turns, self.reach_m = settings.turns, settings.reach_m

    def encode(self, views: NDArray[np.float32]) -> NDArray[np.float32]:
        """Codes (N, dim) float32 of unit length of views (N, 1, size, size)."""
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, self._device.type == "cuda"):
            parts = [
                self._network(torch.from_numpy(np.ascontiguousarray(views[at : at + BATCH])).to(self._device))
                for at in range(0, len(views), BATCH)
            ]
        return normalize(torch.cat(parts).float(), dim=1).cpu().numpy()
