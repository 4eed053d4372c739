"""Accounts. The first is made with the database; others only by the provisioning that tests switch on."""

import getpass
import hmac
import re
import secrets
import sqlite3
from dataclasses import dataclass

from cola_sweep.server import names
from cola_sweep.server.store.database import Store


@dataclass(frozen=True)
class User:
    """One row of `users`. The user's entity has the user's name."""

    id: int
    name: str
    email: str
    api_key: str


def first(store: Store) -> User:
    """The server's own account, named after who runs it; made with a new random key when there is none."""
    sql = f"{_SELECT} ORDER BY id LIMIT 1"
    if row := store.one(sql):  # asked for by every upload: it may not wait for the writer
        return User(**row)
    with store.write():
        return _user(store.one(sql)) or add(store, login_name())


def add(store: Store, name: str, api_key: str | None = None) -> User:
    """A new account, with a random key unless one is given.

    Raises:
        names.ReservedName: no entity can be called that.
        sqlite3.IntegrityError: the name or the key is taken.
    """
    names.check_entity(name)
    with store.write() as db:
        db.execute(
            "INSERT INTO users (name, email, api_key, created_at) VALUES (?, ?, ?, ?)",
            (name, f"{name}@localhost", api_key or secrets.token_hex(20), store.now()),
        )
        user = by_name(store, name)
    assert user is not None
    return user


def remove(store: Store, name: str) -> None:
    """Delete an account, if it is there; its projects stay."""
    with store.write() as db:
        db.execute("DELETE FROM users WHERE name = ?", (name,))


def by_name(store: Store, name: str) -> User | None:
    """The account of that name, or None."""
    return _user(store.one(f"{_SELECT} WHERE name = ?", (name,)))


def by_key(store: Store, api_key: str) -> User | None:
    """The account with that key, or None. Every key is compared, and in constant time."""
    given, found = api_key.encode(errors="replace"), None
    for row in store.all(_SELECT):
        if hmac.compare_digest(given, row["api_key"].encode()):
            found = row
    return _user(found)


def search(store: Store, text: str) -> list[User]:
    """Accounts whose name or address is `text`, as W&B's search does: whole, never a part of it."""
    return [User(**row) for row in store.all(f"{_SELECT} WHERE ? IN (name, email) ORDER BY id", (text,))]


def login_name() -> str:
    """Who runs this, as an entity may be written."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        name = ""
    name = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-") or "me"
    return f"{name}-user" if name in names.RESERVED else name


_SELECT = "SELECT id, name, email, api_key FROM users"


def _user(row: sqlite3.Row | None) -> User | None:
    return User(**row) if row is not None else None
