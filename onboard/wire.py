"""The messages between a camera and a served runtime, version 1, as docs/hil.md describes them: a ZeroMQ multipart of a
JSON header and, with a frame, its bytes.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import WireError
from onboard.fix import Attitude, Fix, Prior, Status, Vertical
from onboard.images import decoded, jpeg_size

VERSION = 1
_LEAST_PART_BYTES = 1 << 20
_HEADER_BYTES = 1 << 16
_SIDE_PX = 32_768

Header = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Request:
    """A parsed request. kind: 'frame' or 'health'; knowledge: keyword arguments of `Localizer.localize`."""

    kind: str
    seq: int
    payload: bytes = b""
    shape: tuple[int, ...] | None = None
    knowledge: Mapping[str, Any] = field(default_factory=dict)
    deadline_ms: float | None = None

    def frame(self, largest_bytes: int) -> NDArray[np.uint8]:
        """The picture: RGB (H, W, 3) or grey (H, W). Raises WireError where a JPEG is none, or promises more
        pixels than ``largest_bytes`` of a raw one hold: a few bytes may promise gigapixels."""
        if self.shape is not None:
            return np.frombuffer(self.payload, np.uint8).reshape(self.shape)
        size = jpeg_size(self.payload)
        if size is not None and 3 * math.prod(size) > largest_bytes:
            raise WireError(f"the JPEG is {size[1]}x{size[0]}, far more than a frame of this camera")
        picture = None if size is None else decoded(self.payload)
        if picture is None:
            raise WireError("the payload is no JPEG that OpenCV can read")
        return picture


def largest_part_bytes(width: int, height: int) -> int:
    """Bytes that a part of a message may have where the camera's file says so many pixels: those of a picture, RGB, of
    four times the width and height, which the same camera may take; never less than a header or a small JPEG needs."""
    return max(_LEAST_PART_BYTES, 3 * 4 * width * 4 * height)


def parse_request(parts: list[bytes]) -> Request:
    """A request from its parts; WireError names what is wrong, and whose it was."""
    if not 1 <= len(parts) <= 2:
        raise WireError(f"a message has a header and perhaps a payload, this has {len(parts)} parts")
    header = _header(parts[0])
    seq = header.get("seq")
    seq = seq if isinstance(seq, int) and not isinstance(seq, bool) else None
    try:
        return _request(header, parts[1] if len(parts) == 2 else None)
    except ValueError as error:
        raise WireError(str(error), seq) from error


def frame_message(seq: int, picture: bytes | NDArray[np.uint8], **known: Any) -> list[bytes]:
    """The parts of a frame request: a JPEG file's bytes or an array; ``known``: the optional keys, as plain JSON."""
    header: Header = {"nadir": VERSION, "kind": "frame", "seq": seq}
    if isinstance(picture, bytes):
        header["encoding"] = "jpeg"
    else:
        header |= {"encoding": "raw", "shape": list(picture.shape), "dtype": str(picture.dtype)}
        picture = picture.tobytes()
    return [_json(header | {key: value for key, value in known.items() if value is not None}), picture]


def health_message(seq: int) -> list[bytes]:
    """The part of a health request."""
    return [_json({"nadir": VERSION, "kind": "health", "seq": seq})]


def reply(kind: str, seq: int | None, instance: str, **content: Any) -> bytes:
    """A reply's header; numbers that are none become null."""
    return _json({"nadir": VERSION, "kind": kind, "seq": seq, "instance": instance, **content})


def parse_reply(parts: list[bytes]) -> Header:
    """A reply's header; WireError if it is none of this version."""
    header = _header(parts[0] if parts else b"")
    if header.get("nadir") != VERSION or header.get("kind") not in ("fix", "dropped", "health", "error"):
        raise WireError(f"no reply of protocol {VERSION}: {str(header)[:200]}")
    return header


def plain_fix(fix: Fix) -> Header:
    """A fix as JSON: estimates null unless the status is FIX."""
    return {name: _plain(getattr(fix, name)) for name in (*_FACTS, *_ESTIMATES)} | {"status": fix.status.value}


def fix_of(header: Header) -> Fix:
    """The fix of a reply of kind 'fix'; WireError naming a field that is missing or of another kind, an estimate that a
    FIX lacks, or one that another status has."""
    try:
        status = Status(header["status"])
        facts = {name: convert(header[name], name) for name, convert in _FACTS.items()}
        if status is not Status.FIX:
            if told := [name for name in _ESTIMATES if header[name] is not None]:
                raise ValueError(f"{', '.join(told)}: must be null where the status is {status.value}")
            return Fix(status, **facts)
        fix = Fix(status, **facts, **{name: convert(header[name], name) for name, convert in _ESTIMATES.items()})
        if fix.sigma_m <= 0:
            raise ValueError(f"sigma_m: must be above 0, not {fix.sigma_m:g}")
        return fix
    except (KeyError, ValueError) as error:
        raise WireError(f"the reply holds no fix: {type(error).__name__} {error}") from error


def _request(header: Header, payload: bytes | None) -> Request:
    if header.get("nadir") != VERSION:
        raise ValueError(f"nadir: this server speaks protocol {VERSION}, not {header.get('nadir')!r}")
    kind, seq = header.get("kind"), _whole(header.get("seq"), "seq")
    if kind == "health":
        if payload is not None:
            raise ValueError("health takes no payload")
        _only(header, ())
        return Request("health", seq)
    if kind != "frame":
        raise ValueError(f"kind: must be 'frame' or 'health', not {kind!r}")
    if payload is None:
        raise ValueError("a frame needs its bytes as the second part")
    raw = header.get("encoding") == "raw"
    if not raw and header.get("encoding") != "jpeg":
        raise ValueError(f"encoding: must be 'raw' or 'jpeg', not {header.get('encoding')!r}")
    _only(header, ("encoding", *(("shape", "dtype") if raw else ()), *_KNOWN, "deadline_ms"))
    shape = _shape(header, payload) if raw else None
    knowledge = {key: convert(header[key], key) for key, convert in _KNOWN.items() if header.get(key) is not None}
    deadline_ms = header.get("deadline_ms")
    return Request(
        "frame", seq, payload, shape, knowledge, None if deadline_ms is None else _number(deadline_ms, "deadline_ms")
    )


def _shape(header: Header, payload: bytes) -> tuple[int, ...]:
    if header.get("dtype") != "uint8":
        raise ValueError(f"dtype: must be 'uint8', not {header.get('dtype')!r}")
    shape = header.get("shape")
    if not isinstance(shape, list) or len(shape) not in (2, 3):
        raise ValueError(f"shape: must be [H, W, 3] or [H, W], not {shape!r}")
    sides = tuple(_whole(side, "shape") for side in shape)
    if min(sides) < 1 or max(sides) > _SIDE_PX or math.prod(sides) != len(payload):
        raise ValueError(f"shape: {list(sides)} asks for {math.prod(sides)} bytes, the payload has {len(payload)}")
    return sides


def _altitude(value: Any, where: str) -> tuple[float, float]:
    altitude, sigma = _numbers(value, 2, where)
    return altitude, sigma


def _attitude(value: Any, where: str) -> Attitude:
    quat, sigma = _named(value, ("quat_ecef_from_cam_wxyz", "sigma_rad"), where)
    w, x, y, z = _numbers(quat, 4, where)
    return Attitude((w, x, y, z), _number(sigma, where))


def _prior(value: Any, where: str) -> Prior:
    lat, lon, sigma = _named(value, ("lat_deg", "lon_deg", "sigma_m"), where)
    return Prior(_number(lat, where), _number(lon, where), _number(sigma, where))


def _vertical(value: Any, where: str) -> Vertical:
    down, sigma = _named(value, ("down_cam", "sigma_rad"), where)
    x, y, z = _numbers(down, 3, where)
    return Vertical((x, y, z), _number(sigma, where))


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"{where}: must be a whole number from 0, not {value!r}")
    return value


def _number(value: Any, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{where}: {value!r} is no number")
    return float(value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where}: must be text, not {value!r}")
    return value


def _time(value: Any, where: str) -> int | None:
    return None if value is None else _whole(value, where)


def _timings(value: Any, where: str) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: must be an object of numbers, not {value!r}")
    return {stage: _number(entry, where) for stage, entry in value.items()}


def _position(value: Any, where: str) -> NDArray[np.float64]:
    return np.array(_numbers(value, 3, where))


def _covariance(value: Any, where: str) -> NDArray[np.float64]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{where}: must be 3 rows of 3 numbers, not {value!r}")
    return np.array([_numbers(row, 3, where) for row in value])


def _quaternion(value: Any, where: str) -> NDArray[np.float64]:
    return np.array(_numbers(value, 4, where))


def _numbers(value: Any, count: int, where: str) -> list[float]:
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{where}: must be {count} numbers, not {value!r}")
    return [_number(entry, where) for entry in value]


def _named(value: Any, keys: tuple[str, ...], where: str) -> list[Any]:
    if not isinstance(value, dict) or set(value) != set(keys):
        raise ValueError(f"{where}: must have {', '.join(keys)}, not {value!r}")
    return [value[key] for key in keys]


def _only(header: Header, known: tuple[str, ...]) -> None:
    unknown = set(header) - {"nadir", "kind", "seq"} - set(known)
    if unknown:
        raise ValueError(f"unknown key {', '.join(sorted(unknown))}; known here: {', '.join(known) or 'none'}")


def _header(part: bytes) -> Header:
    if len(part) > _HEADER_BYTES:
        raise WireError(f"the header has {len(part)} bytes, {_HEADER_BYTES} are allowed")
    try:
        header = json.loads(part)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise WireError(f"the header must be a JSON object, not {str(header)[:80]}")
    return header


def _plain(value: Any) -> Any:
    """JSON of numbers and arrays, NaN as null."""
    if isinstance(value, np.ndarray):
        return value.tolist() if np.isfinite(value).all() else None
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def _json(header: Header) -> bytes:
    return json.dumps(header, allow_nan=False).encode()


_Converters = dict[str, Callable[[Any, str], Any]]

# What a frame's header may add.
_KNOWN: _Converters = {
    "timestamp_ns": _whole, "altitude_m": _altitude, "attitude": _attitude, "prior": _prior,
    "vertical": _vertical, "mount_heading_deg": _number,
}  # fmt: skip

# The fields of a fix beside its status.
_FACTS: _Converters = {
    "reason": _text, "inliers": _whole, "votes": _whole, "timestamp_ns": _time, "timings_ms": _timings,
}  # fmt: skip
_ESTIMATES: _Converters = {
    "lat_deg": _number, "lon_deg": _number, "altitude_m": _number, "heading_deg": _number, "sigma_m": _number,
    "position_ecef_m": _position, "covariance_ecef_m2": _covariance, "quat_ecef_from_cam_wxyz": _quaternion,
    "false_fix_probability": _number,
}  # fmt: skip
