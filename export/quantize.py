"""INT8 by explicit Q/DQ nodes: symmetric activations, per-channel symmetric weights (ONNX Runtime, static).

Symmetric because TensorRT's explicit INT8 takes no zero points.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from export.looks import Studio
from onboard.errors import NadirError

BATCH = 32


class QuantizationError(NadirError):
    """A network that is not, or cannot be made, explicit symmetric INT8."""


class _Views(CalibrationDataReader):
    def __init__(self, views: NDArray[np.float32]) -> None:
        self._batches: Iterator[dict[str, NDArray[np.float32]]] = iter(
            [{"views": views[at : at + BATCH]} for at in range(0, len(views), BATCH)]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:  # type: ignore[override]
        return next(self._batches, None)


def calibration_views(studio: Studio, turns: int, count: int, seed: int) -> NDArray[np.float32]:
    """Views (count, 1, size, size) to calibrate on: map and looks in turn, at places anywhere on land."""
    rng = np.random.default_rng([seed, 2])
    views: list[NDArray[np.float32]] = []
    while len(views) < count:
        lat_deg, lon_deg = studio.earth.draw_place(rng, (-62.0, 62.0), 0.15)
        views.append(studio.map_view(lat_deg, lon_deg))
        views.append(studio.look_view(rng, lat_deg, lon_deg, rng.uniform(-0.5, 0.5) * 360 / turns, 45e3))
    return np.stack(views[:count])


def quantize(source: Path, target: Path, views: NDArray[np.float32]) -> None:
    """Write ``source`` as INT8 to ``target``, calibrated on views (N, 1, size, size), looks and map alike.

    Raises QuantizationError when the result is not what `check_symmetric` asks.
    """
    part = target.with_suffix(".part")
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # it warns of pre-processing that a folded chain does not need
    try:
        quantize_static(
            str(source), str(part), _Views(views), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
        )  # fmt: skip
    finally:
        logging.getLogger().setLevel(level)
    model = onnx.load(str(part))
    props = {entry.key: entry.value for entry in onnx.load(str(source)).metadata_props}
    onnx.helper.set_model_props(model, props)
    check_symmetric(model)
    onnx.save(model, str(part))
    part.replace(target)


def check_symmetric(model: onnx.ModelProto) -> None:
    """Raise QuantizationError unless every zero point is int8 zero and every convolution's weight is per channel."""
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    found = 0
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            found += 1
            zero = constants.get(node.input[2]) if len(node.input) > 2 else None
            # Biases are int32 by nature: the product of the two scales.
            if zero is not None and (zero.dtype not in (np.int8, np.int32) or np.any(zero != 0)):
                raise QuantizationError(f"{node.name}: zero point {zero.dtype} {zero.ravel()[:3]} is not int8 zero")
        if node.op_type == "Conv":
            weight = producers.get(node.input[1])
            if weight is None or weight.op_type != "DequantizeLinear" or weight.input[0] not in constants:
                raise QuantizationError(f"{node.name}: its weight is not quantized")
            channels = constants[weight.input[0]].shape[0]
            if constants[weight.input[1]].size != channels:
                raise QuantizationError(f"{node.name}: its weight is not quantized per channel")
            if getattr(producers.get(node.input[0]), "op_type", "") != "DequantizeLinear":
                raise QuantizationError(f"{node.name}: its input is not quantized")
    if not found:
        raise QuantizationError("the network has no Q/DQ nodes at all")
