"""Put first on PYTHONPATH: every Python process of a system test then fails when it leaves this machine."""

import ipaddress
import socket
from typing import Any

_connect = socket.socket.connect


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _guarded(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        raise PermissionError(f"a system test tried to reach {address!r}")
    _connect(self, address)


socket.socket.connect = _guarded  # type: ignore[method-assign]
