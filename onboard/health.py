"""How a served runtime is doing: counts, times, memory, versions."""

import platform
import sys
import time
from collections import Counter, deque
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

_RECENT = 1000
_PACKAGES = ("nadir", "numpy", "opencv-python-headless", "onnxruntime", "faiss-cpu", "pyzmq", "tensorrt")


class Health:
    """Kept by the server, told on request.

    received: frames that came; served: frames answered with a fix or with its reason; dropped: frames overtaken by
    newer ones; malformed: messages refused; statuses: of the served; served_ms: from arrival to reply, of the last
    1,000.
    """

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.received = self.served = self.dropped = self.malformed = 0
        self.statuses: Counter[str] = Counter()
        self.last_status: str | None = None
        self._recent_ms: deque[float] = deque(maxlen=_RECENT)

    def count(self, status: str, served_ms: float) -> None:
        """One more frame served."""
        self.served += 1
        self.statuses[status] += 1
        self.last_status = status
        self._recent_ms.append(served_ms)

    def as_dict(self) -> dict[str, Any]:
        """All of it, as plain JSON."""
        recent = np.array(self._recent_ms)
        shares = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
        return {
            "uptime_s": round(time.monotonic() - self._start, 3),
            "received": self.received,
            "served": self.served,
            "dropped": self.dropped,
            "malformed": self.malformed,
            "statuses": dict(self.statuses),
            "last_status": self.last_status,
            "served_ms": {
                name: round(float(np.percentile(recent, share)), 2) if len(recent) else None
                for name, share in shares.items()
            },
            "resident_mib": resident_mib(),
        }


def resident_mib() -> float | None:
    """Resident memory of this process; None where the system has no /proc."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return round(int(line.split()[1]) / 1024, 1)
    except OSError:
        pass
    return None


def versions() -> dict[str, str]:
    """What runs here: Python, the machine, and the packages that are installed."""
    found = {"python": platform.python_version(), "machine": f"{sys.platform} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
