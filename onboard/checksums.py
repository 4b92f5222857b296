"""Checksums of pack files: CRC-32 a block (finds where), SHA-256 a file (proves it is the file that was built)."""

import base64
import hashlib
import zlib
from dataclasses import dataclass

import numpy as np

from onboard.errors import PackError

BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class Checksum:
    """Size, SHA-256 and the CRC-32 of every block of ``BLOCK_BYTES``."""

    size: int
    sha256: str
    crc32: tuple[int, ...]

    @classmethod
    def of(cls, data: bytes | memoryview) -> "Checksum":
        view = memoryview(data).cast("B")
        blocks = range(0, len(view), BLOCK_BYTES)
        return cls(
            len(view),
            hashlib.sha256(view).hexdigest(),
            tuple(zlib.crc32(view[at : at + BLOCK_BYTES]) for at in blocks),
        )

    def verify(self, data: bytes | memoryview, name: str) -> None:
        """Raises PackError naming the damage: the size, the first bad block, or the hash."""
        found = Checksum.of(data)
        if found.size != self.size:
            raise PackError(f"{name}: has {found.size} bytes, the manifest says {self.size}; copy the pack again")
        for block, (have, want) in enumerate(zip(found.crc32, self.crc32)):
            if have != want:
                raise PackError(f"{name}: block {block} (byte {block * BLOCK_BYTES}) is damaged; copy the pack again")
        if found.sha256 != self.sha256:
            raise PackError(f"{name}: its SHA-256 is not the manifest's; copy the pack again")

    def to_plain(self) -> dict[str, object]:
        """As written in the manifest."""
        crc32 = base64.b64encode(np.array(self.crc32, "<u4").tobytes()).decode()
        return {"bytes": self.size, "sha256": self.sha256, "crc32": crc32}

    @classmethod
    def from_plain(cls, plain: dict) -> "Checksum":
        """Raises KeyError, TypeError or ValueError on anything `to_plain` did not write."""
        crc32 = np.frombuffer(base64.b64decode(plain["crc32"], validate=True), "<u4")
        return cls(int(plain["bytes"]), str(plain["sha256"]), tuple(int(value) for value in crc32))
