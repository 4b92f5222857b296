"""A network that runs: the common face of ONNX Runtime and of a TensorRT engine (onboard/engine.py)."""

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from onboard.errors import PackError


class Network(Protocol):
    """runtime: what runs it, for people; input_shape, dim: of one input and of one output row."""

    @property
    def runtime(self) -> str: ...

    @property
    def input_shape(self) -> tuple[int, ...]: ...

    @property
    def dim(self) -> int: ...

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs (N, dim) float32 of inputs (N, *input_shape) float32, any N."""
        ...


_AT_ONCE = 512  # inputs


class OnnxNetwork:
    """An ONNX file of one input and one output, (N, ...) to (N, dim) float32, in ONNX Runtime on the CPU.

    metadata: what the file says of itself. Raises PackError, naming ``name``, when it cannot be loaded or is none.
    """

    def __init__(self, model: str | Path | bytes, threads: int, name: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        # Threads that spin while they wait for the next patches keep the cores from what a frame needs between.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
            )
            (entry,), (output,) = self._session.get_inputs(), self._session.get_outputs()
            self.input_shape = tuple(int(size) for size in entry.shape[1:])
            self.dim = int(output.shape[1])
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            raise PackError(f"{name}: not a network of one input and one output ({error})") from error
        if entry.type != "tensor(float)":
            raise PackError(f"{name}: takes {entry.type}, not float32")
        self._input = entry.name
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        self.runtime = f"ONNX Runtime {onnxruntime.__version__}"

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        # In parts, so that what ONNX Runtime sets aside for the layers between stays small; one part for no inputs.
        parts = [
            self._session.run(None, {self._input: inputs[start : start + _AT_ONCE]})[0]
            for start in range(0, max(len(inputs), 1), _AT_ONCE)
        ]
        return np.concatenate(parts)
