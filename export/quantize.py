"""INT8 by explicit Q/DQ nodes after training: symmetric, activations per tensor, weights per channel (ONNX Runtime).

Q/DQ stand where NVIDIA's "Explicit Quantization" wants them: on the inputs of convolutions and matrix products and
nowhere else, so that TensorRT fuses a layer with its activation; biases stay in float (export/graph_rules.py).
"""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from export.graph_rules import check_int8
from export.looks import Studio
from onboard.errors import NadirError
from onboard.whole_file import whole

BATCH = 32
# Of the absolute values a layer sees, that share is kept in range: the few above cost less than a coarser step.
_PERCENTILE = 99.999


class QuantizationError(NadirError):
    """Too little to calibrate on."""


class _Batches(CalibrationDataReader):
    def __init__(self, name: str, inputs: NDArray[np.float32]) -> None:
        # Whole batches: the calibrator stacks them.
        self._batches: Iterator[dict[str, NDArray[np.float32]]] = iter(
            [{name: inputs[at : at + BATCH]} for at in range(0, len(inputs) - BATCH + 1, BATCH)]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:  # type: ignore[override]
        return next(self._batches, None)


def calibration_views(studio: Studio, turns: int, reach_m: float, count: int, seed: int) -> NDArray[np.float32]:
    """Views (count, 1, size, size) to calibrate on: map and looks in turn, at places anywhere on land."""
    rng = np.random.default_rng([seed, 2])
    views: list[NDArray[np.float32]] = []
    while len(views) < count:
        lat_deg, lon_deg = studio.earth.draw_place(rng, (-62.0, 62.0), 0.15)
        views.append(studio.map_view(lat_deg, lon_deg))
        views.append(studio.look_view(rng, lat_deg, lon_deg, rng.uniform(-0.5, 0.5) * 360 / turns, reach_m))
    return np.stack(views[:count])


def quantize(source: Path, target: Path, inputs: NDArray[np.float32]) -> None:
    """Write the network ``source`` as INT8 to ``target``, its metadata kept; calibrated on inputs (N, ...) as it takes
    them, of which whole batches of 32 are used.

    Raises QuantizationError when there is less than one batch, GraphError when TensorRT would not take the result.
    """
    if len(inputs) < BATCH:
        raise QuantizationError(f"{len(inputs)} inputs to calibrate on; {BATCH} are the least, thousands are better")
    original = onnx.load(str(source))
    with whole(target) as part:
        level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # it warns of pre-processing that a folded chain does not need
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the calibrator prints
                quantize_static(
                    str(source), str(part), _Batches(original.graph.input[0].name, inputs),
                    quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv", "Gemm"], per_channel=True,
                    activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod.Percentile,
                    extra_options={
                        "ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False,
                        "OpTypesToExcludeOutputQuantization": ["Conv", "Gemm"], "CalibPercentile": _PERCENTILE,
                    },
                )  # fmt: skip
        finally:
            logging.getLogger().setLevel(level)
        model = onnx.load(str(part))
        kept = {entry.key: entry.value for entry in original.metadata_props}
        onnx.helper.set_model_props(model, {**kept, "precision": "int8"})
        check_int8(model)
        onnx.save(model, str(part))
