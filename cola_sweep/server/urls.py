"""Addresses that carry their own permission: the client uploads and downloads some without credentials.

>>> urls = Urls("http://127.0.0.1:8080", b"secret", clock=lambda: 1000.0)
>>> urls.signed("GET", "/files/a b", seconds=60)[:56]
'http://127.0.0.1:8080/files/a%20b?expires=1060.000000&si'
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time
from typing import Literal
from urllib.parse import quote


@dataclass(frozen=True)
class Urls:
    """Makes and checks signed addresses.

    Attributes:
        base: how the asking client reaches this server, without a slash at the end.
        secret: key of the signatures; kept with the records, so that addresses outlive a restart.
        clock: seconds since the epoch.
    """

    base: str
    secret: bytes
    clock: Callable[[], float] = time

    def signed(self, method: Literal["PUT", "GET"], path: str, seconds: float = 86400) -> str:
        """The absolute address of `path` (as it is, not percent-encoded) for one method and so long."""
        expires = f"{self.clock() + seconds:.6f}"
        return f"{self.base}{quote(path)}?expires={expires}&signature={self._signature(method, path, expires)}"

    def valid(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether `query` holds an unexpired signature for this method and (decoded) path; HEAD counts as GET."""
        given, expires = query.get("signature", ""), query.get("expires", "")
        wanted = self._signature("GET" if method == "HEAD" else method, path, expires)
        # Only an expiry of our own making passes the comparison, so it is read after it.
        return hmac.compare_digest(given.encode(), wanted.encode()) and float(expires) > self.clock()

    def _signature(self, method: str, path: str, expires: str) -> str:
        message = f"{method}\n{expires}\n{path}".encode(errors="surrogatepass")
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()
