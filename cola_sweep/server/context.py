"""What every resolver and route is given: the records, the bytes, and who asks."""

from dataclasses import dataclass

from cola_sweep.server.blobs import Blobs
from cola_sweep.server.store import Store
from cola_sweep.server.store.users import User
from cola_sweep.server.urls import Urls


@dataclass(frozen=True)
class Context:
    """One request's view of the server.

    Attributes:
        store: records.
        blobs: files of runs and artifacts.
        urls: makes the signed upload and download addresses that answers carry.
        user: whose key the request bore.
        search_seed: seed of a sweep made now, or None for one of the server's choosing.
        writer: the process that asks, where several write to one run at once (see `shared.py`).
    """

    store: Store
    blobs: Blobs
    urls: Urls
    user: User
    search_seed: int | None = None
    writer: str | None = None
