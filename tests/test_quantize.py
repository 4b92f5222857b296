"""INT8: the rules a graph must keep for TensorRT, each broken in turn, and what quantizing costs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("global_land_mask")

from onnx import helper, numpy_helper  # noqa: E402
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions  # noqa: E402
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # noqa: E402

from export.graph_rules import GraphError, check_graph, check_int8  # noqa: E402
from export.keypoint_pairs import STORED_PX, PatchPairs  # noqa: E402
from export.quantize import QuantizationError, _Batches, quantize  # noqa: E402
from export.quantize_patches import calibration_patches, quantize_descriptor  # noqa: E402
from onboard.describer import PatchNetwork  # noqa: E402
from onboard.known_answer import INT8_COSINE, known_patches  # noqa: E402
from onboard.patch_model import normalised  # noqa: E402
from tests.networks import write_network  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """network.onnx and int8.onnx."""
    folder = tmp_path_factory.mktemp("quantized")
    write_network(folder / "network.onnx")
    quantize(folder / "network.onnx", folder / "int8.onnx", _inputs(256))
    return folder


def _inputs(count: int) -> np.ndarray:
    return normalised(_patches(count, 32))


def _patches(count: int, size: int) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 1, (count, size + 8, size + 8))
    smooth = sum(noise[:, i : i + size, j : j + size] for i in range(0, 9, 2) for j in range(0, 9, 2))
    return np.clip(128 + 10 * smooth, 0, 255).astype(np.uint8)


def test_a_quantized_network_keeps_the_rules_its_metadata_and_its_answers(folder: Path) -> None:
    model = onnx.load(str(folder / "int8.onnx"))
    check_int8(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") == 4  # the input of each layer with weights, and nothing else
    quantized = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert quantized == {"patches", "r1", "r2", "flat"}
    exact, rough = PatchNetwork(folder / "network.onnx"), PatchNetwork(folder / "int8.onnx")
    assert rough.likeness == exact.likeness
    patches = _patches(300, 32)
    cosine = np.einsum("ij,ij->i", exact.encode(patches), rough.encode(patches))
    assert cosine.mean() > 0.995 and cosine.min() < 1 - 1e-6
    assert not list(folder.glob("*.part"))


def test_integer_and_simulated_arithmetic_agree_to_the_known_answers_tolerance(folder: Path) -> None:
    """As TensorRT computes: Q/DQ as they stand in the graph, which no runtime is free to fold."""
    network = PatchNetwork(folder / "int8.onnx")
    patches = known_patches()
    known = network.encode(patches)
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    literal = InferenceSession(str(folder / "int8.onnx"), options)
    out = literal.run(None, {"patches": normalised(patches)})[0]
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", out, known).min() > (1 + INT8_COSINE) / 2
    network.check(patches, known)


def _graph_input(model: onnx.ModelProto, kind: str, at: int) -> tuple[onnx.NodeProto, int]:
    return next(node for node in model.graph.node if node.op_type == kind and len(node.input) > at), at


def _store(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    for entry in model.graph.initializer:
        if entry.name == name:
            entry.CopyFrom(numpy_helper.from_array(value, name))


def _weight(model: onnx.ModelProto, layer: str) -> onnx.NodeProto:
    """The DequantizeLinear of a layer's weight."""
    node = next(node for node in model.graph.node if node.name == layer)
    return next(maker for maker in model.graph.node if maker.output[0] == node.input[1])


def zero_point(model: onnx.ModelProto) -> None:
    _store(model, _quantizer(model).input[2], np.array(3, np.int8))


def unsigned(model: onnx.ModelProto) -> None:
    _store(model, _quantizer(model).input[2], np.array(0, np.uint8))


def no_zero_point(model: onnx.ModelProto) -> None:
    del _quantizer(model).input[2]


def dead_scale(model: onnx.ModelProto) -> None:
    _store(model, _quantizer(model).input[1], np.array(0, np.float32))


def scale_a_channel(model: onnx.ModelProto) -> None:
    quantizer = _quantizer(model)
    _store(model, quantizer.input[1], np.full(1 + 1, 0.1, np.float32))


def scale_a_tensor(model: onnx.ModelProto) -> None:
    _store(model, _weight(model, "conv2").input[1], np.array(0.1, np.float32))


def wrong_axis(model: onnx.ModelProto) -> None:
    next(entry for entry in _weight(model, "conv1").attribute if entry.name == "axis").i = 1


def unnamed_axis(model: onnx.ModelProto) -> None:
    del _weight(model, "gemm").attribute[:]


def float_weight(model: onnx.ModelProto) -> None:
    dequantizer = _weight(model, "conv3")
    values = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    weight = values[dequantizer.input[0]] * values[dequantizer.input[1]][:, None, None, None]
    model.graph.initializer.append(numpy_helper.from_array(weight.astype(np.float32), "plain"))
    next(node for node in model.graph.node if node.name == "conv3").input[1] = "plain"


def bare_input(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.name == "conv2").input[0] = "r1"


def unknown_operator(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.name == "relu1").op_type = "Mish"


def private_operator(model: onnx.ModelProto) -> None:
    next(node for node in model.graph.node if node.name == "relu1").domain = "com.microsoft"


def new_opset(model: onnx.ModelProto) -> None:
    next(entry for entry in model.opset_import if entry.domain == "").version = 21


def loose_height(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def _quantizer(model: onnx.ModelProto) -> onnx.NodeProto:
    """The QuantizeLinear of the network's input."""
    return next(node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "patches")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (zero_point, "patches_QuantizeLinear: its zero point is int8 3, not int8 zero"),
        (unsigned, "patches_QuantizeLinear: its zero point is uint8 0, not int8 zero"),
        (no_zero_point, "patches_QuantizeLinear: its zero point is missing"),
        (dead_scale, "patches_QuantizeLinear: its scale is no stored positive float32"),
        (scale_a_channel, "patches_DequantizeLinear: an activation has one scale"),
        (scale_a_tensor, r"conv2: its weight \(16, 8, 4, 4\) has 1 scales, not one for each of 16 output channels"),
        (wrong_axis, "w1_DequantizeLinear: quantized along axis 1, the output channels of Conv are axis 0"),
        (unnamed_axis, "w4_DequantizeLinear: quantized along axis unnamed, the output channels of Gemm are axis 0"),
        (float_weight, "conv3: its weight is not quantized"),
        (bare_input, "conv2: its input is not quantized"),
        (unknown_operator, "relu1: operator Mish is not among those"),
        (private_operator, "relu1: operator com.microsoft:Relu is not among those"),
        (new_opset, "opset 21"),
        (loose_height, "patches: dimension 2 is not fixed"),
    ],
)
def test_each_rule_names_the_node_at_fault(folder: Path, damage: Callable[[onnx.ModelProto], None], told: str) -> None:
    model = onnx.load(str(folder / "int8.onnx"))
    damage(model)
    with pytest.raises(GraphError, match=told):
        check_int8(model)
    with pytest.raises(GraphError, match=told):
        check_graph(model)


def test_what_onnx_runtime_makes_by_default_is_refused(folder: Path, tmp_path: Path) -> None:
    """Activations with zero points, weights per tensor, biases in int32: TensorRT's parser takes none of it."""
    quantize_static(
        str(folder / "network.onnx"), str(tmp_path / "default.onnx"), _Batches("patches", _inputs(32)),
        quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    with pytest.raises(GraphError) as refused:
        check_int8(onnx.load(str(tmp_path / "default.onnx")))
    for told in ("zero point is uint8", "conv1: its weight (8, 1, 4, 4) has 1 scales", "gemm: its bias is not stored"):
        assert told in str(refused.value)


def test_a_float_network_is_taken_but_is_not_int8(folder: Path) -> None:
    model = onnx.load(str(folder / "network.onnx"))
    check_graph(model)
    with pytest.raises(GraphError, match="not quantized"):
        check_int8(model)


def test_a_residual_sum_must_be_quantized(tmp_path: Path) -> None:
    quantize(write_network(tmp_path / "network.onnx", residual=True), tmp_path / "int8.onnx", _inputs(64))
    model = onnx.load(str(tmp_path / "int8.onnx"))
    total = next(node for node in model.graph.node if node.name == "sum3")
    layer = next(node for node in model.graph.node if node.name == "conv3")
    assert list(total.input) == ["c3", layer.input[0]]  # the layer's own output, and what the layer itself was given
    total.input[1] = "r2"
    with pytest.raises(GraphError, match="sum3: adds c3, r2 in full precision; put Q/DQ on the residual input"):
        check_int8(model)


def test_weights_may_also_be_stored_in_float(folder: Path) -> None:
    """As quantization-aware training writes them: weight, Q, DQ."""
    model = onnx.load(str(folder / "int8.onnx"))
    dequantizer = _weight(model, "conv1")
    values = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    weight = values[dequantizer.input[0]] * values[dequantizer.input[1]][:, None, None, None]
    model.graph.initializer.append(numpy_helper.from_array(weight.astype(np.float32), "plain"))
    quantizer = helper.make_node("QuantizeLinear", ["plain", *dequantizer.input[1:]], ["q"], "q", axis=0)
    model.graph.node.insert(0, quantizer)
    dequantizer.input[0] = "q"
    check_int8(model)


def test_too_little_to_calibrate_on_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="31 inputs"):
        quantize(folder / "network.onnx", tmp_path / "int8.onnx", _inputs(31))


def test_the_descriptor_is_measured_before_and_after(folder: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for number, name in enumerate(("shard-0", "held-out-0")):
        _write_pairs(pairs / f"{name}.npz", number)
    report = quantize_descriptor(folder / "network.onnx", tmp_path / "int8.onnx", pairs, 200, 0)
    assert report.float32.pairs == report.int8.pairs == 1200
    assert 0.99 < report.likeness < 1 and report.float32.recall_1 > 0.3 and abs(report.lost) < 0.05
    low, high = PatchNetwork(tmp_path / "int8.onnx").likeness
    assert (low, high) == pytest.approx(report.int8.likeness, abs=1e-4)
    check_int8(onnx.load(str(tmp_path / "int8.onnx")))
    assert sorted(path.name for path in tmp_path.glob("int8*")) == ["int8.onnx"]


def test_calibration_mixes_frames_map_and_strangers() -> None:
    frame, chart, strangers = (np.full((900, STORED_PX, STORED_PX), value, np.uint8) for value in (1, 2, 3))
    nothing = np.zeros(900, np.float32)
    patches = calibration_patches(PatchPairs(frame, chart, strangers, nothing, nothing, nothing, nothing), 301, 0)
    assert patches.shape == (301, 32, 32)
    assert set(np.bincount(patches[:, 0, 0])[1:]) <= {99, 100, 101}


def _write_pairs(path: Path, seed: int) -> None:
    """Pairs that differ by noise."""
    rng = np.random.default_rng(seed)
    chart = rng.permutation(_patches(1200, STORED_PX))
    frame = np.clip(chart + rng.normal(0, 10, chart.shape), 0, 255).astype(np.uint8)
    numbers = dict.fromkeys(("lat_deg", "lon_deg", "size_px", "gsd_m"), np.zeros(len(chart), np.float32))
    np.savez(path, frame=frame, map=chart, strangers=frame[:100], **numbers)
