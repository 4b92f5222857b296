"""Which file, and which program, a result was made with."""

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 1 << 20


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def file_identity(path: Path) -> dict[str, Any]:
    """Name, size and SHA-256 of a file, as plain JSON."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}


def code_sha256(*packages: str) -> str:
    """SHA-256 of all sources of these packages, names included."""
    digest = hashlib.sha256()
    for package in packages:
        folder = Path(str(resources.files(package)))
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(folder).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
