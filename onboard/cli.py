"""The console script ``nadir``: each installed package adds its own verbs. They import what they need as they run, so
that `nadir localize` starts without what only the others use; a verb's default ``extra`` names whose packages it takes.

Exit codes: 0 done; 1 done, but not all is well (an image could not be read or is no frame of the camera, the pack is
damaged in memory, a campaign has a wrong fix); 2 not done (wrong usage, a file that is missing or damaged); 130
interrupted. JSON goes to stdout, text for people to stderr.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from onboard import plugins
from onboard.errors import NadirError


class Parser(argparse.ArgumentParser):
    """One clear line for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name, or a degree sign, that the terminal has no letters for
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = Parser(prog="nadir", description="Tells a satellite where it is from one picture of the Earth.")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=Parser)
    unavailable = {}
    for entry in plugins.verbs():
        try:
            add_verb = entry.load()
        except ImportError as error:
            unavailable[entry.name] = _missing(error, "ground")
        else:
            add_verb(subparsers)
    arguments_given = list(sys.argv[1:] if argv is None else argv)
    if arguments_given and arguments_given[0] in unavailable:
        print(f"nadir {arguments_given[0]}: {unavailable[arguments_given[0]]}", file=sys.stderr)
        return 2
    arguments = parser.parse_args(arguments_given)
    try:
        code = int(arguments.run(arguments) or 0)
        print(end="", flush=True)  # what cannot be written is told here, not lost at exit
        return code
    except ImportError as error:
        print(f"nadir: {_missing(error, getattr(arguments, 'extra', 'ground'))}", file=sys.stderr)
        return 2
    except NadirError as error:
        print(f"nadir: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nadir: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (| head): nothing to say, and no second complaint at exit.
        _leave_output()
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"nadir: {where}{error.strerror or error}", file=sys.stderr)
        try:
            print(end="", flush=True)
        except OSError:
            _leave_output()
        return 2


def _leave_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _missing(error: ImportError, extra: str) -> str:
    absent = isinstance(error, ModuleNotFoundError)
    needs = f"needs the package {error.name!r}" if absent else f"cannot import what it needs ({error})"
    return f"{needs}: pip install '.[{extra}]' in nadir's checkout"


if __name__ == "__main__":
    sys.exit(main())
