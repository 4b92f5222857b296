"""Small networks on patches, made without torch: descriptors of random weights, directions of gradients."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onboard.orientation import BINS
from onboard.patches import PATCH_PX

DIM = 16


def write_network(path: Path, seed: int = 0, residual: bool = False) -> Path:
    """Patches (N, 1, 32, 32) to (N, 16): three convolutions, the third with a skip connection if asked, a product."""
    rng = np.random.default_rng(seed)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        values = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.02, shape)
        if name == "w4":  # what all patches share must not drown what tells them apart
            values -= values.mean(axis=1, keepdims=True)
        return numpy_helper.from_array(values.astype(np.float32), name)

    constants = [
        weight("w1", 8, 1, 4, 4), weight("b1", 8), weight("w2", 16, 8, 4, 4), weight("b2", 16),
        weight("w3", 16, 16, 3, 3), weight("b3", 16), weight("w4", DIM, 64), weight("b4", DIM),
    ]  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["patches", "w1", "b1"], ["c1"], "conv1", strides=[4, 4]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "conv2", strides=[4, 4]),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"], "conv3", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c3", "r2"], ["s3"], "sum3") if residual else None,
        helper.make_node("Flatten", ["s3" if residual else "c3"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w4", "b4"], ["descriptors"], "gemm", transB=1),
    ]
    graph = helper.make_graph(
        [node for node in nodes if node], "network",
        [helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["n", 1, 32, 32])],
        [helper.make_tensor_value_info("descriptors", TensorProto.FLOAT, ["n", DIM])], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"likeness_low": "0.3", "likeness_high": "0.6"})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def write_orientation_network(path: Path) -> Path:
    """Patches (N, 1, 32, 32) to (N, 36): how much brighter each is on the side of a direction than on the other."""
    at = np.arange(PATCH_PX) - (PATCH_PX - 1) / 2
    right, down = (part.ravel() for part in np.meshgrid(at, at))
    direction = np.arange(BINS) * 2 * np.pi / BINS
    within = np.hypot(right, down) < PATCH_PX / 2
    slope = within * (np.outer(np.cos(direction), right) + np.outer(np.sin(direction), down)) / 1000
    nodes = [
        helper.make_node("Flatten", ["patches"], ["flat"]),
        helper.make_node("Gemm", ["flat", "slope"], ["directions"], transB=1),
    ]
    graph = helper.make_graph(
        nodes, "directions",
        [helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["n", 1, PATCH_PX, PATCH_PX])],
        [helper.make_tensor_value_info("directions", TensorProto.FLOAT, ["n", BINS])],
        [numpy_helper.from_array(slope.astype(np.float32), "slope")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
