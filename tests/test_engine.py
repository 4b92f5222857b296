"""Engines: their files, who may run, and the code that drives TensorRT, against a fake held to the real signatures."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("onnx")

from export.engine import build_engine, check_engine
from export.graph_rules import GraphError
from onboard.describer import PatchNetwork, describer_of
from onboard.engine import tensorrt_modules
from onboard.engine_file import EngineError, EngineStamp, read_engine, write_engine
from onboard.errors import PackError
from onboard.known_answer import known_patches
from onboard.orientation import OrientationNetwork
from onboard.pack import Pack
from tests.fake_tensorrt import SIGNATURES, FakeCuda, FakeTensorRT
from tests.networks import DIM, write_network, write_orientation_network
from tests.tensorrt_signatures import CALLS, ENUMS, PROPERTIES

STAMP = EngineStamp("ab" * 32, "10.3.0", "8.7", 64)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_network(tmp_path / "network.onnx")


@pytest.fixture(params=sorted(SIGNATURES))
def trt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorRT]:
    """A Jetson with the fake TensorRT of a version; every context that was pushed must be popped."""
    cuda = FakeCuda()
    module = FakeTensorRT(request.param, cuda)
    package = ModuleType("pycuda")
    package.driver = cuda  # type: ignore[attr-defined]
    for name, value in (("tensorrt", module), ("pycuda", package), ("pycuda.driver", cuda)):
        monkeypatch.setitem(sys.modules, name, value)
    module.cuda = cuda  # type: ignore[attr-defined]
    yield module
    assert not any(cuda.current.values())


@pytest.mark.parametrize("version", sorted(SIGNATURES))
def test_the_real_bindings_have_all_that_is_used(version: str) -> None:
    known = SIGNATURES[version]
    assert set(known["calls"]) == set(CALLS) and set(known["enums"]) == set(ENUMS)
    assert all(text and "->" in text for texts in known["calls"].values() for text in texts)
    assert set(known["settable"]) == set(PROPERTIES) and known["settable"]["ITensor.shape"]


def test_an_engine_answers_as_onnx_runtime_does(trt: FakeTensorRT, model: Path, tmp_path: Path) -> None:
    path = build_engine(model, 64, tmp_path)
    assert trt.flags == 1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert path.name == read_engine(path)[0].file_name and f"-trt{trt.__version__}-sm87-b64" in path.name
    check_engine(model, path)
    exact, engine = PatchNetwork(model), PatchNetwork(model, engines=[tmp_path])
    assert engine.runtime.startswith("TensorRT") and exact.runtime.startswith("ONNX Runtime")
    patches = np.random.default_rng(0).integers(0, 256, (150, 32, 32), np.uint8)
    allocated, waited = trt.cuda.allocated, trt.cuda.synchronized
    for count in (150, 64, 1, 0):  # three batches, the last one filled up; a whole one; one; none
        np.testing.assert_allclose(engine.encode(patches[:count]), exact.encode(patches[:count]), atol=1e-5)
    assert trt.cuda.synchronized - waited == 3 + 1 + 1
    assert trt.cuda.allocated == allocated  # all memory was had at the start


def test_directions_come_from_an_engine_too(trt: FakeTensorRT, tmp_path: Path) -> None:
    model = write_orientation_network(tmp_path / "orientation.onnx")
    check_engine(model, build_engine(model, 64, tmp_path))
    exact, engine = OrientationNetwork(model), OrientationNetwork(model, engines=[tmp_path])
    assert engine.runtime.startswith("TensorRT") and exact.runtime.startswith("ONNX Runtime")
    patches = np.random.default_rng(0).integers(0, 256, (150, 32, 32), np.uint8)
    np.testing.assert_allclose(engine.rows(patches), exact.rows(patches), atol=1e-5)


def test_any_thread_may_ask(trt: FakeTensorRT, model: Path, tmp_path: Path) -> None:
    build_engine(model, 8, tmp_path)
    engine, found = PatchNetwork(model, engines=[tmp_path]), []
    patches = np.zeros((3, 32, 32), np.uint8)
    thread = threading.Thread(target=lambda: found.append(engine.encode(patches)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], engine.encode(patches))


def test_measurements_are_kept_and_a_strange_cache_is_named(trt: FakeTensorRT, model: Path, tmp_path: Path) -> None:
    build_engine(model, 8, tmp_path)
    build_engine(model, 8, tmp_path)
    (cache,) = tmp_path.glob("timing-*.cache")
    assert cache.read_bytes() == b"measured" and not list(tmp_path.glob("*.part"))
    cache.write_bytes(b"of another device")
    with pytest.raises(EngineError, match=r"timing-\*\.cache"):
        build_engine(model, 8, tmp_path)


def test_what_tensorrt_refuses_is_told(trt: FakeTensorRT, model: Path, tmp_path: Path) -> None:
    build_engine(model, 8, tmp_path)
    trt.plans = False
    network = PatchNetwork(model, engines=[tmp_path])
    assert network.runtime.startswith("ONNX Runtime") and "cannot load it" in network.refused[0]
    trt.parses = False
    with pytest.raises(EngineError, match="no such operator"):
        build_engine(model, 8, tmp_path)


@pytest.mark.parametrize("content", [b"junk, no network", b""])
def test_a_file_that_is_no_network_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "junk.onnx").write_bytes(content)
    with pytest.raises(GraphError, match=r"junk\.onnx: not an ONNX network"):
        build_engine(tmp_path / "junk.onnx", 64, tmp_path)


def test_what_cuda_refuses_is_told(
    trt: FakeTensorRT, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_engine(model, 8, tmp_path)

    def full(_cuda: FakeCuda, _count: int) -> None:
        raise RuntimeError("cuMemAlloc failed: out of memory")

    monkeypatch.setattr(FakeCuda, "mem_alloc", full)
    network = PatchNetwork(model, engines=[tmp_path])
    assert network.runtime.startswith("ONNX Runtime") and "out of memory" in network.refused[0]


def test_an_engine_that_computes_otherwise_is_an_error(trt: FakeTensorRT, model: Path, tmp_path: Path) -> None:
    path = build_engine(model, 8, tmp_path)
    trt.drift = 0.5
    with pytest.raises(PackError, match=f"{path.name}.*cosine"):
        check_engine(model, path)
    pack = _pack(model, tmp_path)
    with pytest.raises(PackError, match=f"{path.name}.*cosine"):
        describer_of(pack, 1)


def test_the_order_is_beside_the_pack_then_the_named_folder_then_onnx_runtime(
    trt: FakeTensorRT, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, elsewhere = _pack(model, tmp_path / "pack"), tmp_path / "engines"
    assert describer_of(pack, 1).runtime.startswith("ONNX Runtime")
    build_engine(model, 16, elsewhere)
    assert describer_of(pack, 1).runtime.startswith("ONNX Runtime")
    monkeypatch.setenv("NADIR_ENGINES", str(elsewhere))
    assert describer_of(pack, 1).runtime.endswith("-b16.engine")
    built = build_engine(model, 32, pack.path)
    assert describer_of(pack, 1).runtime.endswith("-b32.engine")
    stamp, plan = read_engine(built)
    built.unlink()
    old = write_engine(pack.path, EngineStamp(stamp.onnx_sha256, "9.9.9", "8.7", 32), plan)
    builds = trt.builds
    describer = describer_of(pack, 1)
    assert describer.runtime.endswith("-b16.engine")
    assert old.name in describer.refused[0] and f"tensorrt 9.9.9, here {trt.__version__}" in describer.refused[0]
    assert trt.builds == builds  # never silently rebuilt


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"onnx_sha256": "cd" * 32}, "onnx_sha256"), ({"tensorrt": "10.7.0"}, "tensorrt 10.7.0, here 10.3.0"),
     ({"compute_capability": "8.9"}, "compute_capability 8.9, here 8.7")],
)  # fmt: skip
def test_a_stamp_fits_or_says_why_not(changed: dict[str, str], told: str) -> None:
    STAMP.check("ab" * 32, "10.3.0", "8.7")
    with pytest.raises(EngineError, match=told):
        EngineStamp(**{**vars(STAMP), **changed}).check("ab" * 32, "10.3.0", "8.7")
    assert EngineStamp(**{**vars(STAMP), **changed}).file_name != STAMP.file_name


def test_engine_files_say_what_they_are_and_damage_is_found(tmp_path: Path) -> None:
    path = write_engine(tmp_path, STAMP, b"a plan\nof two lines")
    assert path.name == "abababababab-trt10.3.0-sm87-b64.engine"
    assert read_engine(path.rename(tmp_path / "another name.engine")) == (STAMP, b"a plan\nof two lines")
    whole = (tmp_path / "another name.engine").read_bytes()
    other_format = whole.replace(b'"nadir_engine": 1', b'"nadir_engine": 2')
    number = whole.replace(b'"10.3.0"', b"10.3")
    assert number != whole
    for bad in (whole[:-1], whole[:-1] + b"x", whole[:40], b"", other_format, number, b"[" * 100_000 + b"\n"):
        path.write_bytes(bad)
        with pytest.raises(EngineError):
            read_engine(path)


def test_a_place_for_engines_that_is_not_there_is_named(model: Path, tmp_path: Path) -> None:
    assert "no such file or folder" in PatchNetwork(model, engines=[tmp_path / "gone"]).refused[0]


def test_without_tensorrt_an_engine_is_passed_over_and_named(model: Path, tmp_path: Path) -> None:
    try:
        tensorrt_modules()
    except EngineError:
        path = write_engine(tmp_path, STAMP, b"plan")
        network = PatchNetwork(model, engines=[tmp_path])
        assert network.runtime.startswith("ONNX Runtime")
        assert path.name in network.refused[0] and "TensorRT cannot be used here" in network.refused[0]
        with pytest.raises(EngineError, match="TensorRT cannot be used here"):
            build_engine(model, 8, tmp_path)
    else:
        pytest.skip("TensorRT works here")


def test_a_real_device_agrees(model: Path, tmp_path: Path) -> None:
    """Needs a GPU with TensorRT and pycuda (docs/jetson.md)."""
    try:
        tensorrt_modules()
    except EngineError as error:
        pytest.skip(str(error))
    for batch in (1, 100):
        check_engine(model, build_engine(model, batch, tmp_path))


def test_the_known_answer_of_a_pack_is_asked_for(model: Path, tmp_path: Path) -> None:
    pack = _pack(model, tmp_path)
    assert describer_of(pack, 1).dim == DIM
    with pytest.raises(PackError, match=r"known_answer_patches\.npy"):
        describer_of(Pack(pack.path, pack.manifest, pack.mission, {"network.onnx": pack.files["network.onnx"]}), 1)
    write_network(model, seed=1)
    other = {**pack.files, "network.onnx": memoryview(model.read_bytes())}
    with pytest.raises(PackError, match=r"64 of 64 known patches.*cosine"):
        describer_of(Pack(pack.path, pack.manifest, pack.mission, other), 1)


def test_one_wrong_answer_or_none_is_enough(model: Path) -> None:
    network = PatchNetwork(model)
    patches = known_patches()
    right = network.encode(patches)
    network.check(patches, right)
    for wrong in (np.nan, -1.0):
        answers = right.copy()
        answers[7] *= wrong
        with pytest.raises(PackError, match="1 of 64"):
            network.check(patches, answers)
    with pytest.raises(PackError, match="rebuild the pack"):
        network.check(patches, right[:, :3])
    with pytest.raises(PackError, match="patches"):
        network.check(patches[:0], right[:0])


def _pack(model: Path, folder: Path) -> Pack:
    """As much of a pack as describers read."""
    folder.mkdir(exist_ok=True)
    patches = known_patches()
    for name, array in {"patches": patches, "descriptors": PatchNetwork(model).encode(patches)}.items():
        np.save(folder / f"known_answer_{name}.npy", array)
    files = {path.name: memoryview(path.read_bytes()) for path in folder.glob("known_answer_*.npy")}
    files["network.onnx"] = memoryview(model.read_bytes())
    return Pack(folder, {"descriptor_network": "network.onnx"}, None, files)  # type: ignore[arg-type]
