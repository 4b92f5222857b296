"""The runtime under test at the other end of a socket (`nadir serve`; messages: onboard/wire.py)."""

import time
from typing import Any

import zmq

from onboard import wire
from onboard.errors import WireError
from sim.errors import SimError

# A computer that loses its power says no goodbye: after this silence the connection is made anew.
_HEARTBEAT_MS = 1000
_RECONNECT_MS = (100, 2000)


class Target:
    """A connection that mends itself when the target goes and comes back; messages under way are lost then.

    Raises SimError for an address that is none.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.IMMEDIATE, 1),  # nothing is queued for a target that is not there
            (zmq.HEARTBEAT_IVL, _HEARTBEAT_MS),
            (zmq.HEARTBEAT_TIMEOUT, 3 * _HEARTBEAT_MS),
            (zmq.RECONNECT_IVL, _RECONNECT_MS[0]),
            (zmq.RECONNECT_IVL_MAX, _RECONNECT_MS[1]),
        ):
            self._socket.setsockopt(option, value)
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise SimError(f"{address!r} is no address such as tcp://192.168.1.20:5555 ({error})") from error

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)

    def send(self, message: list[bytes]) -> bool:
        """Send a message; False where nobody is connected."""
        try:
            self._socket.send_multipart(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def receive(self, timeout_s: float) -> wire.Header | None:
        """The next reply, None if none comes in time. Raises SimError for a peer that does not speak the protocol."""
        if not self._socket.poll(max(0, round(timeout_s * 1e3))):
            return None
        try:
            return wire.parse_reply(self._socket.recv_multipart())
        except WireError as error:
            raise SimError(f"{self.address}: {error}: is that 'nadir serve' of this version?") from error

    def health(self, timeout_s: float) -> dict[str, Any] | None:
        """What the target tells of itself, None if it does not answer in time. Replies to frames are discarded."""
        end = time.monotonic() + timeout_s
        asked = False
        while (left := end - time.monotonic()) > 0:
            if not asked:
                asked = self.send(wire.health_message(0))
            reply = self.receive(min(left, 0.1) if not asked else left)
            if reply is not None and reply["kind"] == "health":
                return reply
        return None
