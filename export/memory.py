"""Codes of earlier steps as further negatives (cross-batch memory, Wang et al., CVPR 2020)."""

import torch
from torch import Tensor


class Memory:
    """The codes (M, dim) of maps and frames of the last steps, newest first, and their places (M, 2) in degrees."""

    def __init__(self, capacity: int, dim: int, device: torch.device) -> None:
        self.capacity = capacity
        self.maps, self.frames = (torch.zeros(0, dim, device=device) for _ in range(2))
        self.places = torch.zeros(0, 2, dtype=torch.float64)

    def add(self, maps: Tensor, frames: Tensor, places: Tensor, keep: int) -> None:
        """Put a step's in front and forget what is older than ``keep`` or the capacity: codes drift fast at first, and
        stale ones would mislead."""
        keep = min(keep, self.capacity)
        self.maps = torch.cat([maps.detach(), self.maps])[:keep]
        self.frames = torch.cat([frames.detach(), self.frames])[:keep]
        self.places = torch.cat([places, self.places])[:keep]

    def state(self) -> dict[str, Tensor]:
        return {"maps": self.maps, "frames": self.frames, "places": self.places}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.maps, self.frames = (state[name].to(self.maps.device) for name in ("maps", "frames"))
        self.places = state["places"]
