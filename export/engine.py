"""ONNX to a TensorRT engine, on the device where it will run. Written against the signatures of TensorRT 10.3 and 11.4
(tests/tensorrt_signatures.json) and driven by a fake of them; not yet run on a device.
"""

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from export.graph_rules import GraphError, check_graph
from onboard.engine import compute_capability, tensorrt_modules
from onboard.engine_file import EngineError, EngineStamp, sha256, write_engine
from onboard.known_answer import known_patches
from onboard.patch_model import PatchModel
from onboard.whole_file import write_whole


def build_engine(model: Path, batch: int, folder: Path) -> Path:
    """Build an engine for batches of ``batch`` and write it into a folder; returns its file, whose name is its stamp.

    An engine of the same stamp is replaced. Measurements of kernels are kept beside it, so that the next build is
    quick and chooses the same ones. Raises GraphError when the file is no network or TensorRT would not take its
    graph, EngineError when there is no TensorRT here or it fails.
    """
    data = model.read_bytes()
    try:
        network = onnx.load_from_string(data)
        onnx.checker.check_model(network)  # what is empty can be read, too
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise GraphError(f"{model}: not an ONNX network ({error})") from error
    check_graph(network)
    trt, cuda = tensorrt_modules()
    stamp = EngineStamp(sha256(data), trt.__version__, compute_capability(cuda), batch)
    cache = folder / f"timing-trt{stamp.tensorrt}-sm{stamp.compute_capability.replace('.', '')}.cache"
    plan, measured = _build(data, batch, cache.read_bytes() if cache.exists() else b"", trt)
    path = write_engine(folder, stamp, plan)
    write_whole(cache, measured)
    return path


def check_engine(model: Path, path: Path) -> None:
    """Run a network on patches in ONNX Runtime and in its engine on the same patches. Raises EngineError when the
    engine does not fit here, PackError when the two do not agree (onboard/known_answer.py)."""
    exact, network = (PatchModel(model, 2, engines, model.name) for engines in ((), (path,)))
    if network.refused:
        raise EngineError(network.refused[0])
    patches = known_patches()
    network.check(patches, exact.encode(patches))


def _build(data: bytes, batch: int, measured: bytes, trt: Any) -> tuple[bytes, bytes]:
    """The plan, and the kernels' measurements that were made for it."""
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    # Strongly typed: the graph's own types and Q/DQ decide every precision, no flag does.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(data):
        reasons = "; ".join(parser.get_error(k).desc() for k in range(parser.num_errors))
        raise EngineError(f"TensorRT {trt.__version__} cannot read the network: {reasons}")
    for k in range(network.num_inputs):
        entry = network.get_input(k)
        entry.shape = (batch, *tuple(entry.shape)[1:])  # fixed, so that no optimisation profile is needed
    config = builder.create_builder_config()
    cache = config.create_timing_cache(measured)
    if cache is None or not config.set_timing_cache(cache, False):
        raise EngineError("TensorRT refuses the timing cache beside the engine: remove the file timing-*.cache")
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError("TensorRT could not build the engine: its log on standard error says why")
    return bytes(plan), bytes(config.get_timing_cache().serialize())
