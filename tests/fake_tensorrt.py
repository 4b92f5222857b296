"""A TensorRT and a pycuda that hold their callers to the real ones' terms, with ONNX Runtime inside.

Every call is bound to the signature that the real bindings state (tests/tensorrt_signatures.json), arguments and
results are of the stated types, and nothing else can be called. As on a GPU, memory is addressed by number, copies are
made only when the stream is synchronised, from pinned memory, and with a context current in the calling thread.
"""

import functools
import inspect
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx

from onboard.network import OnnxNetwork

SIGNATURES = json.loads((Path(__file__).parent / "tensorrt_signatures.json").read_text())
_PLAIN = {"int": int, "SupportsInt": int, "str": str, "bool": bool, "buffer": bytes, "Buffer": bytes}


class Pinned(np.ndarray):
    """What pagelocked_empty gives."""


class FakeCuda:
    """pycuda.driver, as far as it is used; ``synchronized``: how often."""

    def __init__(self, capability: tuple[int, int] = (8, 7)) -> None:
        self.memory: dict[int, np.ndarray] = {}
        self.current: dict[int, int] = {}  # by thread, how often a context was pushed
        self.ready = False
        self.allocated = self.synchronized = 0
        cuda = self

        class Context:
            def push(self) -> None:
                cuda.current[threading.get_ident()] = cuda.current.get(threading.get_ident(), 0) + 1

            @staticmethod
            def pop() -> None:
                cuda.current[threading.get_ident()] -= 1
                assert cuda.current[threading.get_ident()] >= 0

        class Device:
            def __init__(self, number: int) -> None:
                assert cuda.ready and number == 0

            def compute_capability(self) -> tuple[int, int]:
                return capability

            def retain_primary_context(self) -> Context:
                return Context()

        class Stream:
            def __init__(self) -> None:
                cuda.asked()
                self.queue: list[Callable[[], None]] = []
                self.handle = 1000 + len(cuda.streams)
                cuda.streams[self.handle] = self

            def synchronize(self) -> None:
                cuda.asked()
                for work in self.queue:
                    work()
                self.queue.clear()
                cuda.synchronized += 1

        self.streams: dict[int, Any] = {}
        self.Device, self.Stream = Device, Stream

    def asked(self) -> None:
        assert self.current.get(threading.get_ident(), 0) > 0, "no CUDA context is current in this thread"

    def init(self) -> None:
        self.ready = True

    def pagelocked_empty(self, shape: tuple[int, ...], dtype: type) -> Pinned:
        self.asked()
        return np.full(shape, np.nan, dtype).view(Pinned)

    def mem_alloc(self, count: int) -> Any:
        self.asked()
        self.allocated += 1
        address = 2**20 * self.allocated
        self.memory[address] = np.full(count, 255, np.uint8)

        class DeviceAllocation:
            def __int__(self) -> int:
                return address

        return DeviceAllocation()

    def memcpy_htod_async(self, dest: Any, src: Pinned, stream: Any) -> None:
        self._copy(stream, src, lambda: self.memory[int(dest)].__setitem__(slice(None), src.view(np.uint8).ravel()))

    def memcpy_dtoh_async(self, dest: Pinned, src: Any, stream: Any) -> None:
        self._copy(
            stream, dest, lambda: dest.view(np.uint8).reshape(-1).__setitem__(slice(None), self.memory[int(src)])
        )

    def _copy(self, stream: Any, host: Pinned, work: Callable[[], None]) -> None:
        self.asked()
        assert isinstance(host, Pinned) and host.flags.c_contiguous and isinstance(stream, self.Stream)
        stream.queue.append(work)


class FakeTensorRT:
    """The module tensorrt of a version. plans: refuse to load any if False; parses: what parse returns; drift: added
    to every output of an engine; builds: how many were built."""

    def __init__(self, version: str, cuda: FakeCuda) -> None:
        self.__version__ = version
        known = SIGNATURES[version]
        self.plans = self.parses = True
        self.drift, self.builds, self.flags = 0.0, 0, 0
        for name, number in known["enums"].items():
            *path, member = name.split(".")
            owner: Any = self
            for step in path:
                if not hasattr(owner, step):
                    setattr(owner, step, SimpleNamespace())
                owner = getattr(owner, step)
            setattr(owner, member, number)
        for made in _classes(self, cuda):
            for name, method in vars(made).copy().items():
                call = f"{made.__name__}.{name}"
                if callable(method) and (name == "__init__" or not name.startswith("_")):
                    setattr(made, name, _held_to(known["calls"][call], method, self, call))
            setattr(self, made.__name__, made)
        # As tensorrt/__init__.py does.
        self.Logger.ERROR, self.Logger.WARNING = self.ILogger.Severity.ERROR, self.ILogger.Severity.WARNING


def _held_to(signatures: list[str], method: Callable, module: Any, call: str) -> Callable:
    @functools.wraps(method)
    def held(*given: Any, **named: Any) -> Any:
        problems = []
        for text in signatures:
            signature, returned = _parsed(text)
            try:
                bound = signature.bind(*given, **named)
                for name, value in list(bound.arguments.items())[1:]:
                    if not _is(value, signature.parameters[name].annotation, module):
                        raise TypeError(f"{name} is {type(value).__name__}")
            except TypeError as error:
                problems.append(f"{text}: {error}")
                continue
            result = method(*given, **named)
            assert result is None or _is(result, returned, module), (call, result)
            return result
        raise TypeError("; ".join(problems))

    return held


def _parsed(text: str) -> tuple[inspect.Signature, str]:
    inside, returned = re.fullmatch(r"\w+\((.*)\) -> (.*)", text).groups()  # type: ignore[union-attr]
    parameters = []
    for part in inside.split(", "):
        name, annotation, default = re.fullmatch(r"(\w+): ([^=]+?)(?: = (.*))?", part).groups()  # type: ignore[union-attr]
        empty = inspect.Parameter.empty if default is None else default
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(name, kind, default=empty, annotation=annotation))
    return inspect.Signature(parameters), returned


def _is(value: Any, annotation: str, module: Any) -> bool:
    last = annotation.split(".")[-1].split("::")[-1]
    if last in _PLAIN:
        return type(value) is _PLAIN[last]
    if last in ("Severity", "TensorIOMode", "DataType"):
        return type(value) is int
    if last == "Dims":
        return type(value) is tuple
    return type(value).__name__ in (last, last.removeprefix("I"))


def _classes(trt: FakeTensorRT, cuda: FakeCuda) -> list[type]:
    """The classes of the module: plans hold the ONNX file and the batch, and run in ONNX Runtime."""

    class Logger:
        def __init__(self, min_severity: int = 2) -> None:
            pass

    class IHostMemory(bytes):
        pass

    class ITensor:
        shape: tuple[int, ...] = ()

    class ParserError:
        def desc(self) -> str:
            return "no such operator"

    class INetworkDefinition:
        num_inputs = 1

        def get_input(self, index: int) -> Any:
            assert index == 0
            return self._input

    class ITimingCache:
        def serialize(self) -> Any:
            return IHostMemory(b"measured")

    class IBuilderConfig:
        def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
            self._read = serialized_timing_cache
            return ITimingCache()

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            self._cache = cache
            return not ignore_mismatch and self._read in (b"", b"measured")

        def get_timing_cache(self) -> Any:
            return self._cache

    class Builder:
        def __init__(self, logger: Any) -> None:
            pass

        def create_network(self, flags: int = 0) -> Any:
            trt.flags = flags
            return INetworkDefinition()

        def create_builder_config(self) -> Any:
            return IBuilderConfig()

        def build_serialized_network(self, network: Any, config: Any) -> Any:
            trt.builds += 1
            assert min(network._input.shape) > 0, "a dynamic shape without an optimisation profile"
            return IHostMemory(json.dumps(network._input.shape).encode() + b"\n" + network._onnx)

    class OnnxParser:
        num_errors = 1

        def __init__(self, network: Any, logger: Any) -> None:
            self._network = network

        def parse(self, model: bytes, path: str | None = None) -> bool:
            shape = onnx.load_from_string(model).graph.input[0].type.tensor_type.shape
            self._network._onnx, self._network._input = model, ITensor()
            self._network._input.shape = tuple(size.dim_value or -1 for size in shape.dim)
            return trt.parses

        def get_error(self, index: int) -> Any:
            return ParserError()

    class IExecutionContext:
        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._at[name] = memory
            return memory in cuda.memory

        def execute_async_v3(self, stream_handle: int) -> bool:
            cuda.asked()
            assert set(self._at) == {"patches", "descriptors"}, "not every tensor has an address"
            cuda.streams[stream_handle].queue.append(self._execute)
            return True

        def _execute(self) -> None:
            inputs = cuda.memory[self._at["patches"]].view(np.float32).reshape(self._engine._shape)
            out = self._engine._network.run(inputs.copy()) + np.float32(trt.drift)
            cuda.memory[self._at["descriptors"]][:] = out.ravel().view(np.uint8)

    class ICudaEngine:
        num_io_tensors = 2

        def create_execution_context(self) -> Any:
            cuda.asked()
            context = IExecutionContext()
            context._at, context._engine = {}, self
            return context

        def get_tensor_name(self, index: int) -> str:
            return ("descriptors", "patches")[index]

        def get_tensor_mode(self, name: str) -> int:
            return trt.TensorIOMode.INPUT if name == "patches" else trt.TensorIOMode.OUTPUT

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return self._shape if name == "patches" else (self._shape[0], self._network.dim)

        def get_tensor_dtype(self, name: str) -> int:
            return trt.DataType.FLOAT

    class Runtime:
        def __init__(self, logger: Any) -> None:
            pass

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            cuda.asked()
            if not trt.plans:
                return None
            shape, model = serialized_engine.split(b"\n", 1)
            engine = ICudaEngine()
            engine._shape, engine._network = tuple(json.loads(shape)), OnnxNetwork(model, 1, "a plan")
            return engine

    return [Logger, Builder, OnnxParser, ParserError, INetworkDefinition, IBuilderConfig, ITimingCache, Runtime,
            ICudaEngine, IExecutionContext]  # fmt: skip
