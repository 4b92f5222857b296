"""The network as an ONNX file: a plain chain of convolutions with its metadata inside."""

from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from torch import nn

from export.network import Network, NetworkSettings
from onboard.whole_file import whole

# 17 is the newest opset of which ONNX Runtime 1.17 and TensorRT 10.3 both know every operator.
OPSET = 17


def write_onnx(network: Network, settings: NetworkSettings, path: Path) -> None:
    """Write the deployed network; input ``views`` (N, 1, size, size), output ``codes`` (N, dim), N free."""
    write_model(network.deployed(), settings.size, ("views", "codes"), settings.metadata(), path)


def write_model(network: nn.Module, size: int, names: tuple[str, str], metadata: Mapping[str, str], path: Path) -> None:
    """Write a network in evaluation mode, (N, 1, size, size) to (N, dim), N free; names: of input and output."""
    with whole(path) as part:
        # The TorchScript exporter: the graph keeps plain names and one opset.
        torch.onnx.export(
            network, (torch.zeros(2, 1, size, size),), str(part), input_names=names[:1], output_names=names[1:],
            dynamic_axes={name: {0: "n"} for name in names}, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        model = onnx.load(str(part))
        onnx.helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        onnx.save(model, str(part))
