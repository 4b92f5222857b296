"""Several processes that train one network, as `torchrun` starts them; one process is the usual case of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather
from torch.nn.parallel import DistributedDataParallel

from onboard.errors import NadirError


class ShareError(NadirError):
    """A batch that does not divide among the processes."""


@dataclass(frozen=True)
class World:
    """rank of this process among size; device: what it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and shows the progress."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """The items of ``count`` that are this process's; all shares have the same length. Raises ShareError."""
        if count % self.size:
            raise ShareError(
                f"{count} items of a step do not divide among {self.size} processes: give another --batch, or start "
                "another number of processes"
            )
        each = count // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network on the device, its gradients averaged over the processes. One forward pass a step."""
        network.to(self.device)
        return network if self.size == 1 else DistributedDataParallel(network)

    def gathered(self, codes: Tensor) -> Tensor:
        """The rows of all processes, in order of rank, with gradients: every process then computes the same loss of
        the whole batch, and DistributedDataParallel's average is the gradient of that loss."""
        if self.size == 1:
            return codes
        if codes.requires_grad:
            return torch.cat(list(all_gather(codes)))
        parts = [torch.empty_like(codes) for _ in range(self.size)]
        distributed.all_gather(parts, codes)
        return torch.cat(parts)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def joined_world(device: str) -> Iterator[World]:
    """The world of this process: what `torchrun` says in the environment, else alone. ``device``: cpu or cuda."""
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    local = torch.device(device, int(os.environ.get("LOCAL_RANK", "0"))) if device == "cuda" else torch.device(device)
    if size == 1:
        yield World(0, 1, local)
        return
    if local.type == "cuda":
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if local.type == "cuda" else "gloo")
    try:
        yield World(rank, size, local)
    finally:
        distributed.destroy_process_group()
