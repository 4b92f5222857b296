"""What can go wrong at load or configuration, by name. A frame never raises: it ends in a Status."""

# How the reason begins where a frame met a fault of the program itself, which must never pass unnoticed.
INTERNAL_ERROR = "internal error, please report"


class NadirError(Exception):
    """Base of every error this project raises on purpose; its text says what is wrong and what to do."""


class CameraError(NadirError):
    """A camera file or camera value that cannot be used."""


class MissionError(NadirError):
    """A mission file with a wrong, missing or unknown key."""


class PackError(NadirError):
    """A flight pack that is missing, damaged, or of another format."""


class ImageError(NadirError):
    """A file that is not a readable image."""


class MosaicError(NadirError):
    """A raster that cannot serve as a mosaic."""


class BudgetError(NadirError):
    """A pack that does not fit its byte budget."""


class UsageError(NadirError):
    """Options of a command that do not go together."""


class MissingPackageError(NadirError):
    """A verb whose optional dependencies are not installed."""


class WireError(NadirError):
    """A message that is not of the protocol (onboard/wire.py), or an address nobody can use; ``seq`` is the message's,
    if it had one."""

    def __init__(self, text: str, seq: int | None = None) -> None:
        super().__init__(text)
        self.seq = seq
