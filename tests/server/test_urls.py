from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server.urls import Urls
from tests.server.conftest import Clock

paths = st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: "/" + text)


def parts(url: str) -> tuple[str, dict[str, str]]:
    """The path as a server decodes it, and the query."""
    split = urlsplit(url)
    return unquote(split.path), {name: values[0] for name, values in parse_qs(split.query).items()}


@given(path=paths)
def test_an_address_holds_for_its_method_and_path(path: str) -> None:
    urls = Urls("http://here", b"secret", Clock())
    found, query = parts(urls.signed("PUT", path))
    assert found == path
    assert urls.valid("PUT", path, query)
    assert not urls.valid("GET", path, query)
    assert not urls.valid("HEAD", path, query)
    assert not urls.valid("PUT", path + "x", query)
    assert not Urls("http://here", b"other secret", Clock()).valid("PUT", path, query)


def test_head_is_allowed_where_get_is() -> None:
    urls = Urls("http://here", b"secret", Clock())
    _, query = parts(urls.signed("GET", "/a"))
    assert urls.valid("HEAD", "/a", query)
    assert not urls.valid("POST", "/a", query)


def test_an_address_expires_and_its_expiry_cannot_be_moved() -> None:
    clock = Clock()
    urls = Urls("http://here", b"secret", clock)
    _, query = parts(urls.signed("GET", "/a", seconds=60))
    clock.advance(59.9)
    assert urls.valid("GET", "/a", query)
    clock.advance(0.1)
    assert not urls.valid("GET", "/a", query)
    assert not urls.valid("GET", "/a", {**query, "expires": "9" * 12})


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"expires": "9e9"},
        {"signature": "x"},
        {"expires": "nan", "signature": "ä"},
        {"expires": "", "signature": ""},
    ],
)
def test_queries_without_a_signature_of_ours_are_not_valid(query: dict[str, str]) -> None:
    assert not Urls("http://here", b"secret", Clock()).valid("GET", "/a", query)


def test_two_addresses_of_one_file_differ() -> None:
    clock = Clock()
    urls = Urls("http://here", b"secret", clock)
    first = urls.signed("GET", "/a")
    clock.advance(0.001)
    assert urls.signed("GET", "/a") != first
