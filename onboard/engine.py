"""A TensorRT engine, run with pycuda. Written against the signatures of TensorRT 10.3 and 11.4
(tests/tensorrt_signatures.json) and driven by a fake of them; not yet run on a device.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.engine_file import SUFFIX, EngineError, EngineStamp, read_engine


class EngineNetwork:
    """An engine of fixed shapes behind the face of `onboard.network.Network`.

    All memory is had when it is loaded: pinned on the host, one buffer each for input and output on the device. Inputs
    go through in the engine's batches; what fills the last one up is not looked at. One stream, and one thread at a
    time (the localizer's lock sees to it); the CUDA context is made current for each call, so that any thread may.
    """

    def __init__(self, stamp: EngineStamp, plan: bytes, trt: Any, cuda: Any) -> None:
        """trt, cuda: the modules tensorrt and pycuda.driver. Raises EngineError when TensorRT refuses the plan."""
        self._cuda = cuda
        self.runtime = f"TensorRT {stamp.tensorrt} engine {stamp.file_name}"
        self._primary = cuda.Device(0).retain_primary_context()
        self._primary.push()
        try:
            self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))  # must outlive the engine
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is None:
                raise EngineError("TensorRT cannot load it: build it anew with 'nadir export engine'")
            self._context = self._engine.create_execution_context()
            if self._context is None:
                raise EngineError("TensorRT has no memory to run it")
            names = [self._engine.get_tensor_name(k) for k in range(self._engine.num_io_tensors)]
            given, made = (
                [name for name in names if self._engine.get_tensor_mode(name) == mode]
                for mode in (trt.TensorIOMode.INPUT, trt.TensorIOMode.OUTPUT)
            )
            if len(given) != 1 or len(made) != 1:
                raise EngineError(f"has inputs {given} and outputs {made}, one each is asked for")
            self._host_in, self._device_in = self._buffers(given[0], trt.DataType.FLOAT)
            self._host_out, self._device_out = self._buffers(made[0], trt.DataType.FLOAT)
            self._stream = cuda.Stream()
        finally:
            self._primary.pop()
        self._batch, *shape = self._host_in.shape
        self.input_shape = tuple(shape)
        if self._batch != stamp.batch or self._host_out.ndim != 2 or len(self._host_out) != stamp.batch:
            shapes = f"{self._host_in.shape} and {self._host_out.shape}"
            raise EngineError(f"has shapes {shapes}, not batches of {stamp.batch}")
        self.dim = int(self._host_out.shape[1])

    def _buffers(self, name: str, float32: Any) -> tuple[NDArray[np.float32], Any]:
        """Pinned and device memory of a tensor, the latter made known to TensorRT."""
        shape = tuple(int(size) for size in self._engine.get_tensor_shape(name))
        if min(shape) < 1 or self._engine.get_tensor_dtype(name) != float32:
            raise EngineError(f"its tensor {name!r} {shape} is not of fixed shape and float32")
        host = self._cuda.pagelocked_empty(shape, np.float32)
        device = self._cuda.mem_alloc(host.nbytes)
        if not self._context.set_tensor_address(name, int(device)):
            raise EngineError(f"TensorRT refuses the memory for {name!r}")
        return host, device

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs (N, dim) float32 of inputs (N, *input_shape). Raises EngineError, or pycuda's errors, when the GPU
        fails."""
        out = np.empty((len(inputs), self.dim), np.float32)
        self._primary.push()
        try:
            for at in range(0, len(inputs), self._batch):
                part = inputs[at : at + self._batch]
                self._host_in[: len(part)] = part
                self._cuda.memcpy_htod_async(self._device_in, self._host_in, self._stream)
                if not self._context.execute_async_v3(int(self._stream.handle)):
                    raise EngineError("TensorRT did not start: its log on standard error says why")
                self._cuda.memcpy_dtoh_async(self._host_out, self._device_out, self._stream)
                self._stream.synchronize()
                out[at : at + len(part)] = self._host_out[: len(part)]
        finally:
            self._primary.pop()
        return out


def tensorrt_modules() -> tuple[Any, Any]:
    """The modules tensorrt and pycuda.driver, CUDA made ready. Raises EngineError when they are not here."""
    try:
        import pycuda.driver as cuda
        import tensorrt as trt

        cuda.init()
        cuda.Device(0)
    except Exception as error:  # a missing package, a missing library, or a CUDA without a device
        raise EngineError(f"TensorRT cannot be used here ({type(error).__name__}: {error})") from error
    return trt, cuda


def compute_capability(cuda: Any) -> str:
    """Of the first GPU, such as "8.7"."""
    return ".".join(map(str, cuda.Device(0).compute_capability()))


def open_engine(onnx_sha256: str, places: Iterable[Path]) -> tuple[EngineNetwork | None, tuple[str, ...]]:
    """The first engine that belongs to the network, this device and this TensorRT, or None; and why each one before it
    was refused. places: engine files, or folders of them, taken by name. An engine is never built here."""
    places = tuple(places)
    refused = [f"{place}: no such file or folder" for place in places if not place.exists()]
    files = ([place] if place.is_file() else sorted(place.glob(f"*{SUFFIX}")) for place in places)
    for path in itertools.chain.from_iterable(files):
        try:
            stamp, plan = read_engine(path)
            trt, cuda = tensorrt_modules()
            stamp.check(onnx_sha256, trt.__version__, compute_capability(cuda))
            return EngineNetwork(stamp, plan, trt, cuda), tuple(refused)
        except EngineError as error:
            refused.append(f"{path}: {error}")
        except Exception as error:  # CUDA's own, which share no base with anything that is always here
            refused.append(f"{path}: the GPU does not take it ({type(error).__name__}: {error})")
    return None, tuple(refused)
