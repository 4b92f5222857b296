"""The network as an ONNX file: a plain chain of convolutions with its metadata inside."""

from pathlib import Path

import onnx
import torch

from export.network import Network, NetworkSettings

# 17 is the newest opset of which ONNX Runtime 1.17 and TensorRT 10.3 both know every operator.
OPSET = 17


def write_onnx(network: Network, settings: NetworkSettings, path: Path) -> None:
    """Write the deployed network; input ``views`` (N, 1, size, size), output ``codes`` (N, dim), N free."""
    part = path.with_suffix(".part")
    example = torch.zeros(2, 1, settings.size, settings.size)
    # The TorchScript exporter: the network is a chain, and the graph keeps plain names and one opset.
    torch.onnx.export(
        network.deployed(), (example,), str(part), input_names=["views"], output_names=["codes"],
        dynamic_axes={"views": {0: "n"}, "codes": {0: "n"}}, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    model = onnx.load(str(part))
    onnx.helper.set_model_props(model, settings.metadata())
    onnx.checker.check_model(model)
    onnx.save(model, str(part))
    part.replace(path)
