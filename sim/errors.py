"""What can go wrong in a simulation, by name."""

from onboard.errors import NadirError


class SimError(NadirError):
    """A scenario that cannot be simulated; its text says what is wrong and what to do."""
