"""A flight process and nothing else, for `tests.bench_localize`: imports `onboard` only, prints times and memory.

``python -m tests.localize_process PACK CAMERA ALTITUDE_KM REPEATS IMAGE...``: each picture is decoded first, then
localized REPEATS times from the array in memory; the first REPEATS answers warm it up and are not counted.
"""

import json
import resource
import sys
import time

import onboard
from onboard.health import resident_mib
from onboard.images import read_image

GROUND = ("rasterio", "torch", "scipy", "matplotlib", "pyproj", "index_builder", "export", "sim")


def main() -> None:
    pack, camera, altitude_km, repeats, *images = sys.argv[1:]
    imported = resident_mib()
    localizer = onboard.Localizer(pack, camera)
    loaded = resident_mib()
    altitude_m = (float(altitude_km) * 1e3, float(altitude_km) * 10)
    frames, shape = [], ()
    for image in [images[0], *images]:
        frame = read_image(image)
        shape = frame.shape
        for _ in range(int(repeats)):
            start = time.process_time()
            fix = localizer.localize(frame, altitude_m=altitude_m)
            cpu_ms = (time.process_time() - start) * 1e3
            frames.append({"image": image, "status": fix.status.value, "timings_ms": fix.timings_ms, "cpu_ms": cpu_ms})
    assert not any(name in sys.modules for name in GROUND)
    memory = {
        "imported_mib": imported,
        "loaded_mib": loaded,
        "at_the_end_mib": resident_mib(),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print(json.dumps({"shape": shape, "frames": frames[int(repeats) :], "memory": memory}))


if __name__ == "__main__":
    main()
