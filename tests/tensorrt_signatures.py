"""The signatures of TensorRT that nadir calls, read off the real Python bindings: no GPU and no TensorRT needed.

    pip download --no-deps --only-binary=:all: tensorrt-cu12-bindings==10.3.0 tensorrt-cu12-bindings==11.4.0.106
    python -m tests.tensorrt_signatures tensorrt_cu12_bindings-*.whl > tests/tensorrt_signatures.json

The bindings are linked to libraries of gigabytes, but ask them for a dozen functions only when called: empty stand-ins
made by gcc let Python import them and read the signatures pybind11 wrote into them.
"""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# What onboard/engine.py and export/engine.py use, and no more: the fake (tests/fake_tensorrt.py) has nothing else.
CALLS = (
    "Logger.__init__", "Runtime.__init__", "Builder.__init__", "OnnxParser.__init__", "Builder.create_network",
    "Builder.create_builder_config", "Builder.build_serialized_network", "OnnxParser.parse", "OnnxParser.get_error",
    "ParserError.desc", "INetworkDefinition.get_input", "IBuilderConfig.create_timing_cache",
    "IBuilderConfig.set_timing_cache", "IBuilderConfig.get_timing_cache", "ITimingCache.serialize",
    "Runtime.deserialize_cuda_engine", "ICudaEngine.create_execution_context", "ICudaEngine.get_tensor_name",
    "ICudaEngine.get_tensor_mode", "ICudaEngine.get_tensor_shape", "ICudaEngine.get_tensor_dtype",
    "IExecutionContext.set_tensor_address", "IExecutionContext.execute_async_v3",
)  # fmt: skip
PROPERTIES = ("OnnxParser.num_errors", "INetworkDefinition.num_inputs", "ITensor.shape", "ICudaEngine.num_io_tensors")
ENUMS = ("NetworkDefinitionCreationFlag.STRONGLY_TYPED", "TensorIOMode.INPUT", "TensorIOMode.OUTPUT", "DataType.FLOAT",
         "ILogger.Severity.WARNING", "ILogger.Severity.ERROR")  # fmt: skip

_READ = """
import json, operator, sys
sys.path.insert(0, sys.argv[1])
import tensorrt
asked = json.loads(sys.argv[2])
print(json.dumps({
    "calls": {name: operator.attrgetter(name)(tensorrt).__doc__ for name in asked["calls"]},
    "settable": {name: operator.attrgetter(name)(tensorrt).fset is not None for name in asked["properties"]},
    "enums": {name: int(operator.attrgetter(name)(tensorrt)) for name in asked["enums"]},
}))
"""


def signatures_of(doc: str) -> list[str]:
    """The signatures in a docstring of pybind11: one, or those of its overloads."""
    numbered = re.findall(r"^\d+\. (.*)$", doc, re.MULTILINE)
    return numbered or doc.splitlines()[:1]


def read_wheel(wheel: Path) -> dict[str, object]:
    """What the bindings in a wheel say of themselves."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        bindings = folder / "tensorrt_bindings"
        library = bindings / "tensorrt.so"
        needed = re.findall(r"\[(libnv\S+)\]", _output("readelf", "-d", library))
        missing = [line.split()[1] for line in _output("nm", "-D", "--undefined-only", library).splitlines()]
        wanted = [name for name in missing if re.match(r"(create|get|init)\w+$", name)]
        source = folder / "stand_in.c"
        source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in wanted))
        for name in needed:
            _output("gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source)
        asked = json.dumps({"calls": CALLS, "properties": PROPERTIES, "enums": ENUMS})
        told = json.loads(_output("env", f"LD_LIBRARY_PATH={folder}", sys.executable, "-c", _READ, bindings, asked))
    told["calls"] = {call: signatures_of(doc) for call, doc in told["calls"].items()}
    return told


def _output(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    versions = {Path(path).name.split("-")[1]: read_wheel(Path(path)) for path in sys.argv[1:]}
    print(json.dumps(versions, indent=1))
