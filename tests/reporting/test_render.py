"""What was logged stays text, in Markdown as in HTML."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.reporting.document import Answer, Column, Link, Report, Section, Table, Text
from cola_sweep.reporting.render import escape_markdown, html, markdown


def one_cell(cell: str | Link) -> Report:
    table = Table("t", (Column("name", "word"), Column("n")), [(cell, "1")])
    return Report("kind", "title", Link("here", ""), "", (), (), "", (Section("Part", (table,)),))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a | b", r"a \| b"), ("<b>", "&lt;b&gt;"), ("[x](y)", r"\[x\](y)"), ("a\nb", "a b"), ("`c`", r"\`c\`"),
        ("- x", r"\- x"), ("1. x", r"\1. x"), ("-0.1", "-0.1"), ("www.x.org", "www&#8203;.x.org"),
        ("https://x.org", "https&#8203;://x.org"), ("a&amp;b", "a&amp;amp;b"),
    ],
)  # fmt: skip
def test_markdown_marks_are_escaped(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@given(st.text())
def test_any_text_is_one_cell_of_a_table(text: str) -> None:
    escaped = escape_markdown(text)
    assert len(escaped.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", escaped)
    assert "<" not in escaped


@pytest.mark.parametrize("href", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "../a/../../b", ""])
def test_an_address_that_is_no_web_address_is_no_link(href: str) -> None:
    report = one_cell(Link("run", href))
    assert "<a href" not in html(report).partition("<table>")[2]
    assert "](" not in markdown(report)


def test_an_address_cannot_leave_its_link() -> None:
    report = one_cell(Link("run", 'https://x.org/a) "b<c>|d'))
    assert '[run](https://x.org/a%29%20"b%3Cc%3E%7Cd)' in markdown(report)
    assert 'href="https://x.org/a) &#34;b&lt;c&gt;|d"' in html(report)


def test_a_report_of_nothing_is_still_a_page() -> None:
    empty = Report("kind", "title", Link("here", ""), "no run", ("careful",), (), "", ())
    assert "<h1>title</h1>" in html(empty)
    assert "> **Note:** careful" in markdown(empty)


def test_answers_and_paragraphs_are_told_in_both() -> None:
    report = Report(
        "kind", "title", Link("here", ""), "", (), (Answer("How?", "So", ("because",), (("run", "r1"),)),), "foot",
        (Section("Part", (Text("why", headline="Head."),)),),
    )  # fmt: skip
    assert "**How? So**\nbecause\nrun: r1\n" in markdown(report)
    assert "**Head.** why" in markdown(report)
    page = html(report)
    assert "<strong>Head.</strong> why" in page
    assert "<dt>run</dt><dd>r1</dd>" in page
