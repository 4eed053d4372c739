import asyncio
import base64
import errno
import hashlib
from collections import namedtuple
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server import blobs
from cola_sweep.server.blobs import BadDigest, BadName, Blobs, TooLarge

HOSTILE = ["..", ".", "/", "\\", "//", "%2e%2e", "%2f", "\0", "C:", "a", "media", "é", "\ud800", "x" * 300, "\n", "~"]
names = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(HOSTILE), max_size=8).map("".join))


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def receive(store: Blobs, path: Path, chunks: Iterable[bytes], **limits: object) -> blobs.Received:
    return asyncio.run(store.receive(path, stream(chunks), **limits))  # type: ignore[arg-type]


def everything(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file()}


@given(name=names, run_id=st.integers(min_value=0, max_value=2**63 - 1))
def test_no_name_leads_out_of_the_runs_folder(name: str, run_id: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Blobs(tmp_path_factory.getbasetemp() / "names")
    try:
        path = store.run_file(run_id, name)
    except BadName:
        return
    assert path.resolve().parent == (store.root / "files" / str(run_id)).resolve()
    # The client that downloads it joins the name to a folder of its own.
    assert Path("/folder", name).is_relative_to("/folder")
    assert ".." not in Path(name).parts
    assert "\0" not in name


@pytest.mark.parametrize(
    "name",
    ["", "..", "a/../b", "/etc/passwd", "a\\..\\b", "\\x", "C:\\x", "c:/x", "a\0b", "a\nb", "\ud800", "x" * 4097],
)
def test_names_that_no_file_can_have_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadName):
        Blobs(tmp_path).run_file(1, name)


@given(first=names, second=names)
def test_two_names_never_share_a_place(first: str, second: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Blobs(tmp_path_factory.getbasetemp() / "names")
    try:
        paths = store.run_file(1, first), store.run_file(1, second)
    except BadName:
        return
    assert (paths[0] == paths[1]) == (first == second)


@given(digest=st.one_of(names, st.text("0123456789abcdefABCDEF/.", min_size=30, max_size=34)))
def test_only_an_md5_names_an_artifact_file(digest: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Blobs(tmp_path_factory.getbasetemp() / "names")
    try:
        path = store.artifact_file(digest)
    except BadName:
        return
    assert len(bytes.fromhex(digest)) == 16
    assert path == store.root / "artifacts" / digest[:2] / digest


@given(chunks=st.lists(st.binary(max_size=50), max_size=6))
def test_what_is_received_is_what_was_sent(chunks: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Blobs(tmp_path_factory.getbasetemp() / "sent")
    path = store.run_file(1, "a/b.txt")
    received = receive(store, path, chunks)
    whole = b"".join(chunks)
    assert path.read_bytes() == whole
    assert received == blobs.Received(len(whole), base64.b64encode(hashlib.md5(whole).digest()).decode())


def test_a_body_of_many_pieces_keeps_its_order(tmp_path: Path) -> None:
    store = Blobs(tmp_path)
    chunks = [bytes([number]) * 300_000 for number in range(10)]
    received = receive(store, store.artifact_manifest(3), chunks)
    assert received.size == 3_000_000
    assert store.artifact_manifest(3).read_bytes() == b"".join(chunks)


def test_a_body_that_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    store = Blobs(tmp_path)
    path = store.run_file(1, "model.ckpt")
    receive(store, path, [b"old"])

    async def broken() -> AsyncIterator[bytes]:
        yield b"new" * 1_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(store.receive(path, broken()))
    assert path.read_bytes() == b"old"
    assert everything(tmp_path) == {path}


def test_more_bytes_than_allowed_or_others_than_announced_are_not_kept(tmp_path: Path) -> None:
    store = Blobs(tmp_path)
    path = store.run_file(1, "a")
    with pytest.raises(TooLarge):
        receive(store, path, [b"12345", b"6"], limit=5)
    with pytest.raises(BadDigest):
        receive(store, path, [b"12345"], md5_base64="AAAAAAAAAAAAAAAAAAAAAA==")
    assert everything(tmp_path) == set()
    assert receive(store, path, [b"12345"], limit=5).size == 5


def test_an_upload_leaves_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(0, 0, blobs.RESERVE + 4))
    store = Blobs(tmp_path)
    assert receive(store, store.run_file(1, "fits"), [b"1234"]).size == 4
    with pytest.raises(OSError, match="no room") as raised:
        receive(store, store.run_file(1, "does not"), [b"12345"])
    assert raised.value.errno == errno.ENOSPC
    assert everything(tmp_path) == {store.run_file(1, "fits")}


def test_a_start_clears_what_a_killed_server_was_receiving(tmp_path: Path) -> None:
    store = Blobs(tmp_path)
    receive(store, store.run_file(1, "kept"), [b"1"])
    (tmp_path / "incoming" / "half").write_bytes(b"1")
    Blobs(tmp_path)
    assert everything(tmp_path) == {store.run_file(1, "kept")}


def test_removing_a_run_removes_its_files_alone(tmp_path: Path) -> None:
    store = Blobs(tmp_path)
    for run_id in (1, 11):
        receive(store, store.run_file(run_id, "a"), [b"1"])
    store.remove_run(1)
    store.remove_run(2)
    store.remove(store.run_file(2, "a"))
    assert everything(tmp_path) == {store.run_file(11, "a")}
