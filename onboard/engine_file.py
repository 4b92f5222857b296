"""The file of a TensorRT engine: a line that says what it was built from and for, then TensorRT's plan.

An engine runs only where it was built: on that GPU architecture, with that TensorRT. The file says so itself; its name
repeats it for people.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from onboard.errors import NadirError
from onboard.whole_file import write_whole

SUFFIX = ".engine"
_FORMAT = 1


class EngineError(NadirError):
    """An engine that is damaged, or not of this network, device or TensorRT."""


@dataclass(frozen=True)
class EngineStamp:
    """onnx_sha256: of the network it was built from, 64 hexadecimal digits; tensorrt: version; compute_capability: of
    the GPU, such as "8.7"; batch: inputs it takes at once."""

    onnx_sha256: str
    tensorrt: str
    compute_capability: str
    batch: int

    @property
    def file_name(self) -> str:
        sm = self.compute_capability.replace(".", "")
        return f"{self.onnx_sha256[:12]}-trt{self.tensorrt}-sm{sm}-b{self.batch}{SUFFIX}"

    def check(self, onnx_sha256: str, tensorrt: str, compute_capability: str) -> None:
        """Raise EngineError saying in what the engine differs from what is here."""
        wanted = {"onnx_sha256": onnx_sha256, "tensorrt": tensorrt, "compute_capability": compute_capability}
        differs = [f"{key} {getattr(self, key)[:12]}, here {here[:12]}" for key, here in wanted.items()
                   if getattr(self, key) != here]  # fmt: skip
        if differs:
            raise EngineError(f"built for {'; '.join(differs)}: build one here with 'nadir export engine'")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_engine(folder: Path, stamp: EngineStamp, plan: bytes) -> Path:
    """Write an engine into a folder under its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / stamp.file_name
    head = {"nadir_engine": _FORMAT, **asdict(stamp), "plan_sha256": sha256(plan)}
    write_whole(path, json.dumps(head).encode() + b"\n" + plan)
    return path


def read_engine(path: Path) -> tuple[EngineStamp, bytes]:
    """An engine's stamp and plan. Raises EngineError when the file is damaged or none of ours."""
    try:
        head, plan = path.read_bytes().split(b"\n", 1)
        plain = json.loads(head)
        if plain.pop("nadir_engine") != _FORMAT:
            raise ValueError("another format")
        expected = plain.pop("plan_sha256")
        stamp = EngineStamp(**plain)
        texts = stamp.onnx_sha256, stamp.tensorrt, stamp.compute_capability
        if not all(isinstance(text, str) for text in texts) or not isinstance(stamp.batch, int):
            raise ValueError("its stamp is malformed")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EngineError(f"no engine made by 'nadir export engine' ({error})") from error
    if sha256(plan) != expected:
        raise EngineError("damaged: its plan has not its SHA-256; build it anew with 'nadir export engine'")
    return stamp, plan
