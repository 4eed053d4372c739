"""Manifests: what is read, what is refused, and the laws that merging obeys."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server.manifests import BadManifest, Entry, Manifest, md5_base64, md5_hex, merge, parse
from tests.server.uploads import HEADER, manifest_of

digests = st.binary(min_size=16, max_size=16).map(lambda raw: md5_base64(raw.hex()))
entries = st.fixed_dictionaries({"digest": digests, "size": st.integers(0, 2**40)})
contents = st.dictionaries(st.text(max_size=8), entries, max_size=6)
json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["contents", "digest", "size", "ref", "a"]), inner, max_size=4)
    ),
)
manifests_ = contents.map(lambda c: Manifest(HEADER, c))


@given(manifests_)
def test_a_manifest_survives_writing_and_reading(manifest: Manifest) -> None:
    assert parse(manifest.to_bytes()) == manifest


@given(manifests_, st.lists(manifests_, min_size=1, max_size=4))
def test_of_entries_with_one_path_the_last_given_wins(base: Manifest, parts: list[Manifest]) -> None:
    merged = merge(base, parts)
    layers = [base, *parts]
    assert merged.contents.keys() == set().union(*(layer.contents for layer in layers))
    for path, entry in merged.contents.items():
        assert entry == [layer.contents[path] for layer in layers if path in layer.contents][-1]


@given(manifests_, manifests_, manifests_)
def test_merging_at_once_or_one_by_one_gives_the_same(a: Manifest, b: Manifest, c: Manifest) -> None:
    assert merge(a, [b, c]) == merge(merge(a, [b]), [c])
    assert merge(None, [a, b, c]) == merge(a, [b, c])


@given(manifests_)
def test_merging_a_manifest_into_itself_changes_nothing(manifest: Manifest) -> None:
    assert merge(manifest, [manifest]) == manifest


@given(contents)
def test_the_digest_depends_on_paths_and_digests_alone(content: dict[str, Any]) -> None:
    turned = Manifest({}, {path: {**content[path], "size": 0, "extra": 1} for path in reversed(content)})
    assert turned.digest() == Manifest(HEADER, content).digest()
    renamed = Manifest(HEADER, {**content, "one more path": {"digest": "AAAAAAAAAAAAAAAAAAAAAA=="}})
    assert renamed.digest() != Manifest(HEADER, content).digest()


def test_the_digest_is_the_one_the_client_computes() -> None:
    # Of wandb 0.31: Artifact("n", "t") with file a.txt holding "one".
    assert manifest_of({"a.txt": b"one"}).digest() == "db7c787dbd86ff3d4249357f7f1a8726"


def test_entries_tell_files_from_references() -> None:
    manifest = parse(manifest_of({"b": b"two"}, {"a": "s3://bucket/key"}).to_bytes())
    assert manifest.entries() == [
        Entry("a", "etag", None, "s3://bucket/key", 5),
        Entry("b", "uKn3Fdu2T9XFbneDxoIKYQ==", "b8a9f715dbb64fd5c56e7783c6820a61", None, 3),
    ]
    assert (manifest.size, manifest.file_count) == (8, 2)


@pytest.mark.parametrize(
    "document",
    [
        "no JSON",
        "[]",
        "{}",
        '{"contents": []}',
        '{"contents": {"a": 1}}',
        '{"contents": {"a": {"size": 1}}}',
        '{"contents": {"a": {"digest": "short"}}}',
        '{"contents": {"a": {"digest": "AAAAAAAAAAAAAAAAAAAAAA==", "size": "1"}}}',
        '{"contents": {"a": {"digest": "AAAAAAAAAAAAAAAAAAAAAA==", "size": -1}}}',
        '{"contents": {"a": {"digest": "AAAAAAAAAAAAAAAAAAAAAA==", "ref": 3}}}',
    ],
)
def test_what_is_no_manifest_is_refused(document: str) -> None:
    with pytest.raises(BadManifest):
        parse(document.encode())


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        manifest = parse(json.dumps(value).encode())
    except BadManifest:
        return
    assert len(manifest.entries()) == manifest.file_count


@given(st.binary(min_size=16, max_size=16))
def test_md5_in_hex_and_in_base64_are_each_others_inverse(raw: bytes) -> None:
    assert md5_hex(md5_base64(raw.hex())) == raw.hex()


@pytest.mark.parametrize("text", ["", "abc", "AAAA", "ä", "AAAAAAAAAAAAAAAAAAAAAA"])
def test_what_is_no_md5_is_refused(text: str) -> None:
    with pytest.raises(BadManifest):
        md5_hex(text)
