"""The scrubber: a slice of the memory the localizer works with is checked at every frame, round and round.

A bit that radiation flips while flying must not end in a fix. As in NASA's cFS Checksum application, memory is compared
with a baseline in slices small enough to cost nothing. Arrays that are views of the pack's files are held against the
checksums of the manifest, arrays made of them against their CRC-32 when they were made, right after the files were
checked.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.checksums import BLOCK_BYTES, Checksum
from onboard.errors import PackError
from onboard.fix import Status
from onboard.intake import Rejected
from onboard.pack import Pack

SLICE_BYTES = 1 << 19  # a frame; 0.1 ms where CRC-32 is an instruction
# Frames between two questions to the network, whose weights its runtime keeps to itself.
NETWORK_EVERY = 16


@dataclass(frozen=True, eq=False)
class Block:
    """A piece of memory and the CRC-32 it must have; ``name`` tells people where it is."""

    name: str
    data: memoryview
    crc32: int

    @property
    def holds(self) -> bool:
        return zlib.crc32(self.data) == self.crc32


class Scrubber:
    """Checks ``blocks`` in turn, about SLICE_BYTES a call; ``settings``, few but each of them decisive, at every call;
    and ``network``, which asks the k-th of its known patches and raises PackError on a wrong answer, now and then.

    size: bytes of a round; damage: what was found, and the answer stays: only what is loaded again can be trusted.
    """

    def __init__(
        self, blocks: Iterable[Block], settings: Callable[[], bytes], network: Callable[[int], None] | None = None
    ) -> None:
        self._blocks = [block for block in blocks if block.data.nbytes]
        self._settings, self._network = settings, network
        self._settings_crc32 = zlib.crc32(settings())
        self._calls = self._at = 0
        self.size = sum(block.data.nbytes for block in self._blocks)
        self.damage: str | None = None

    def check(self) -> None:
        """Check the next slice. Raises Rejected (PACK_CORRUPT) naming what was found, now or earlier."""
        if self.damage is None:
            self.damage = self._look()
        if self.damage is not None:
            raise Rejected(Status.PACK_CORRUPT, f"{self.damage}; load the pack again")

    def sweep(self) -> str | None:
        """Check everything at once, for when something else already looks wrong; what was found."""
        if self.damage is None:
            bad = next((block for block in self._blocks if not block.holds), None)
            self.damage = f"{bad.name} changed in memory" if bad else None
        return self.damage

    def _look(self) -> str | None:
        self._calls += 1
        if zlib.crc32(self._settings()) != self._settings_crc32:
            return "the camera, the limits or the search settings changed in memory"
        if self._network is not None and self._calls % NETWORK_EVERY == 0:
            try:
                self._network(self._calls // NETWORK_EVERY)
            except PackError as error:
                return str(error)
        left = min(SLICE_BYTES, self.size)
        while left > 0:
            block = self._blocks[self._at]
            self._at = (self._at + 1) % len(self._blocks)
            left -= block.data.nbytes
            if not block.holds:
                return f"{block.name} changed in memory"
        return None


def blocks_of_file(pack: Pack, name: str) -> Iterator[Block]:
    """A file of the pack as it is mapped, with the checksums of its manifest."""
    data = pack.files[name]
    checksum = Checksum.from_plain(pack.manifest["files"][name])
    for number, crc32 in enumerate(checksum.crc32):
        part = data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        yield Block(f"{pack.path}/{name}: block {number} (byte {number * BLOCK_BYTES})", part, crc32)


def blocks_of_arrays(arrays: Mapping[str, NDArray]) -> Iterator[Block]:
    """Arrays as they are now, in blocks of BLOCK_BYTES."""
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        if data.nbytes and not np.shares_memory(np.frombuffer(data, np.uint8), array):
            raise ValueError(f"{name} is not contiguous: a copy of it would be checked")
        for number, at in enumerate(range(0, data.nbytes, BLOCK_BYTES)):
            part = data[at : at + BLOCK_BYTES]
            yield Block(f"{name}: block {number} (byte {at})", part, zlib.crc32(part))


def arrays_of(thing: Any) -> dict[str, NDArray]:
    """The arrays an object keeps as attributes and owns: views of a pack's files are left to `blocks_of_file`."""
    kept = {f"{type(thing).__name__}.{name.lstrip('_')}": value for name, value in vars(thing).items()}
    return {name: value for name, value in kept.items() if isinstance(value, np.ndarray) and value.flags.writeable}
