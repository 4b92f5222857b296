"""What TensorRT (10.3 of JetPack 6, up to 11) takes as explicit INT8, as rules an ONNX graph is checked against.

Sources: [NV] NVIDIA TensorRT documentation, "Working with Quantized Types" and "Explicit Quantization"
(docs.nvidia.com/deeplearning/tensorrt, Q/DQ Layer-Placement Recommendations); [OPS] docs/operators.md of
github.com/onnx/onnx-tensorrt, the parser's table of operators; [PARSER] the parser's QuantDequantLinearHelper.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from onboard.errors import NadirError

# Q/DQ along an axis came with opset 13; 17 is what TensorRT 8.6 and everything since takes [OPS].
OPSETS = range(13, 18)
# What our networks are made of; each is in [OPS].
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_PLAIN = ("Relu", "Clip", "Add", "Mul", "Concat", "Flatten", "Reshape", "Transpose", "MaxPool", "AveragePool",
          "GlobalAveragePool", "Gather", "ReduceSum", "Constant")  # fmt: skip
_QDQ = ("QuantizeLinear", "DequantizeLinear")
# Rearranges only, so that Q and DQ may stand on either side of it ([NV]: they commute).
_MOVING = ("Flatten", "Reshape", "Transpose")


class GraphError(NadirError):
    """An ONNX graph that TensorRT would refuse, or would run in another precision than meant."""


@dataclass(frozen=True, eq=False)
class Graph:
    """An ONNX model with its constants by name and, by name of a tensor, the node that makes it."""

    model: onnx.ModelProto
    constants: dict[str, NDArray]
    makers: dict[str, onnx.NodeProto]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> "Graph":
        constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
        return cls(model, constants, {name: node for node in model.graph.node for name in node.output})

    def nodes(self, *operators: str) -> Iterator[onnx.NodeProto]:
        return (node for node in self.model.graph.node if node.op_type in operators)

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is a stored one, or a stored one quantized and dequantized."""
        maker = self.makers.get(name)
        return name in self.constants or (
            maker is not None and maker.op_type in _QDQ and self.is_constant(maker.input[0])
        )

    def dequantizer(self, name: str) -> onnx.NodeProto | None:
        """The DequantizeLinear a tensor comes from, looking through what only rearranges it."""
        maker = self.makers.get(name)
        while maker is not None and maker.op_type in _MOVING:
            maker = self.makers.get(maker.input[0])
        return maker if maker is not None and maker.op_type == "DequantizeLinear" else None


Rule = Callable[[Graph], Iterator[str]]


def known_operators(graph: Graph) -> Iterator[str]:
    """[OPS]"""
    for node in graph.model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in (*_WEIGHTED, *_PLAIN, *_QDQ):
            yield f"{_name(node)}: operator {node.domain}{':' if node.domain else ''}{node.op_type} is not among those"\
                  f" checked to run ({', '.join((*_WEIGHTED, *_PLAIN))}); build the network of these"  # fmt: skip


def known_opset(graph: Graph) -> Iterator[str]:
    """[OPS]"""
    for entry in graph.model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version not in OPSETS:
            yield f"opset {entry.version}: TensorRT 10.3 is sure of {OPSETS[0]} to {OPSETS[-1]}; export with opset 17"


def fixed_shapes(graph: Graph) -> Iterator[str]:
    """Ours: an engine has fixed shapes, its batch set when it is built, so that all its memory is known beforehand."""
    stored = graph.constants
    for value in (*(entry for entry in graph.model.graph.input if entry.name not in stored), *graph.model.graph.output):
        loose = [at for at, size in enumerate(value.type.tensor_type.shape.dim) if size.dim_value <= 0]
        if set(loose) - {0}:
            yield f"{value.name}: dimension {max(loose)} is not fixed; export with dynamic_axes of dimension 0 alone"


def symmetric(graph: Graph) -> Iterator[str]:
    """[NV]: symmetric, signed. [PARSER]: three inputs, zero points all zero, scales positive."""
    for node in graph.nodes(*_QDQ):
        scale, zero = (graph.constants.get(name) for name in (*node.input[1:], "", "")[:2])
        if scale is None or scale.dtype != np.float32 or not np.all(scale > 0) or not np.all(np.isfinite(scale)):
            yield f"{_name(node)}: its scale is no stored positive float32; calibrate on data that moves every layer"
        if zero is None or zero.dtype != np.int8 or np.any(zero):
            found = "missing" if zero is None else f"{zero.dtype} {zero.ravel()[0] if zero.size else ''}"
            yield f"{_name(node)}: its zero point is {found}, not int8 zero; quantize with ActivationSymmetric, "\
                  "WeightSymmetric and QInt8"  # fmt: skip


def quantized_inputs(graph: Graph) -> Iterator[str]:
    """[NV]: "Quantize all inputs of weighted operations"; activations per tensor ([PARSER]: by no axis)."""
    for node in graph.nodes(*_WEIGHTED):
        dequantizer = graph.dequantizer(node.input[0])
        if dequantizer is None:
            yield f"{_name(node)}: its input is not quantized; put Q/DQ before it (op_types_to_quantize)"
        elif graph.constants.get(dequantizer.input[1], np.zeros(1)).size != 1:
            yield f"{_name(dequantizer)}: an activation has one scale, not one a channel; quantize it per tensor"


def quantized_weights(graph: Graph) -> Iterator[str]:
    """[NV]: per channel for weights; [PARSER]: as many scales as output channels, along their axis."""
    for node in graph.nodes(*_WEIGHTED):
        dequantizer = graph.makers.get(node.input[1])
        if dequantizer is None or dequantizer.op_type != "DequantizeLinear" or not graph.is_constant(node.input[1]):
            yield f"{_name(node)}: its weight is not quantized; store it as int8 behind a DequantizeLinear"
            continue
        source = dequantizer.input[0]
        weight = graph.constants.get(source)
        if weight is None:  # kept in float, behind a Q and a DQ
            weight = graph.constants[graph.makers[source].input[0]]
        axis, scale = _channel_axis(node, weight), graph.constants.get(dequantizer.input[1], np.zeros(0))
        if scale.size != weight.shape[axis] or scale.ndim != 1:
            yield f"{_name(node)}: its weight {weight.shape} has {scale.size} scales, not one for each of "\
                  f"{weight.shape[axis]} output channels; quantize with per_channel"  # fmt: skip
        elif _attribute(dequantizer, "axis", None) != axis:
            found = _attribute(dequantizer, "axis", "unnamed")
            yield f"{_name(dequantizer)}: quantized along axis {found}, the output channels of {node.op_type} are "\
                  f"axis {axis}; name that axis"  # fmt: skip


def float_biases(graph: Graph) -> Iterator[str]:
    """[PARSER]: DequantizeLinear takes no int32 ("only activation types allowed", onnx-tensorrt issue 850)."""
    for node in graph.nodes(*_WEIGHTED):
        bias = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        if len(node.input) > 2 and node.input[2] and (bias is None or bias.dtype != np.float32):
            yield f"{_name(node)}: its bias is not stored in float32; quantize with QuantizeBias off"


def quantized_sums(graph: Graph) -> Iterator[str]:
    """[NV]: "Quantize the residual input in skip connections": a sum joins a layer's own output (fused with it) to
    quantized values, or is not INT8 at all."""
    for node in graph.nodes("Add"):
        terms = [name for name in node.input if not graph.is_constant(name)]
        bare = [name for name in terms if graph.dequantizer(name) is None]
        fused = [name for name in bare if name in graph.makers and graph.makers[name].op_type in _WEIGHTED]
        if len(terms) > 1 and (len(bare) > 1 or len(fused) < len(bare)):
            yield f"{_name(node)}: adds {', '.join(bare)} in full precision; put Q/DQ on the residual input"


_EVERY: tuple[Rule, ...] = (known_operators, known_opset, fixed_shapes)
_INT8: tuple[Rule, ...] = (symmetric, quantized_inputs, quantized_weights, float_biases, quantized_sums)


def check_graph(model: onnx.ModelProto) -> None:
    """Raise GraphError when TensorRT would not take a network, or, if it has any Q/DQ, not as explicit INT8."""
    graph = Graph.of(model)
    _refuse(graph, (*_EVERY, *(_INT8 if any(graph.nodes(*_QDQ)) else ())))


def check_int8(model: onnx.ModelProto) -> None:
    """Raise GraphError when a network is not explicit symmetric INT8 that TensorRT takes; names every node at fault."""
    graph = Graph.of(model)
    if not any(graph.nodes(*_QDQ)):
        raise GraphError("the network has no Q/DQ nodes at all: it is not quantized")
    _refuse(graph, (*_EVERY, *_INT8))


def _refuse(graph: Graph, rules: tuple[Rule, ...]) -> None:
    complaints = [complaint for rule in rules for complaint in rule(graph)]
    if complaints:
        raise GraphError("TensorRT would not run this graph as meant:\n  " + "\n  ".join(complaints))


def _name(node: onnx.NodeProto) -> str:
    return node.name or f"{node.op_type} of {node.output[0]}"


def _attribute(node: onnx.NodeProto, name: str, default: object) -> object:
    return next((onnx.helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name), default)


def _channel_axis(node: onnx.NodeProto, weight: NDArray) -> int:
    """Which axis of a weight counts the output channels."""
    if node.op_type == "Gemm":
        return 0 if _attribute(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1, "MatMul": weight.ndim - 1}[node.op_type]
