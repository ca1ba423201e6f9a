"""What an API says of its next page is anybody's text: it leads within the origin, or nowhere."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from sluicegate.base.errors import DataError
from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.connectors.http.asking import Spot
from sluicegate.connectors.http.paging import Cursor, Link, Next, Seen, after, look, records
from sluicegate.kit.net import clean_host

ORIGIN, HERE = "https://api.example.org:443", Spot("/v1/a b", {"x": "ü"})
URLS = some.one_of(
    some.text(max_size=60),
    some.text("/.:@\\#?%&=ah[]\t\r\n 0", max_size=30),
    some.builds("{}{}{}{}".format, some.sampled_from(["", "//", "https://", "http://", "HTTPS:", "https:\\\\"]),
                some.sampled_from(["api.example.org", "api.example.org:443", "evil.example", "api.example.org@evil.example",
                                   "API.example.org", "api.example.org:8443", "[::1]", "2130706433"]),
                some.sampled_from(["", "/", "\\", "@", ":", "?", "#"]), some.text(max_size=20)),
)  # fmt: skip
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.security
@pytest.mark.req("SEC-E04", "SEC-P11")
@given(URLS)
@example("https://api.example.org/v1/b?y=1#frag")
@example("?y=1")
@example("/v1/../../etc")
def test_a_url_stays_within_the_origin(url):
    seen = Seen({"next": url}, {}, 1, 0, 0)
    try:
        spot = after(Next(at="next"), seen, HERE, ORIGIN)
    except (EgressRefused, DataError):
        return
    if spot is None:
        assert url == ""
        return
    target = spot.target()
    assert target.startswith("/")
    assert target.isascii()
    assert target.isprintable()
    assert not set(target) & set(' \\"<>^`{|}#')


@pytest.mark.security
@pytest.mark.req("SEC-P11")
@given(some.text(some.characters(max_codepoint=255), max_size=200), some.text('<>;,=" relnxt', max_size=80))
@example('<a>; rel="' + "x" * 8000, "<" * 4000)
@example("<a>" + ";rel=" * 4000, "")
def test_any_link_header_leads_nowhere_or_within(latin, signs):
    for header in (latin, signs):
        try:
            spot = after(Link(), Seen({}, {"link": header}, 1, 0, 0), HERE, ORIGIN)
        except EgressRefused:
            continue
        assert spot is None or spot.target().startswith("/")


def test_links_are_read_as_rfc_8288_has_them():
    for header, target in {
        '</b?c=1>; rel="next"': "/b?c=1",
        '<?p=1>; rel=prev, <?p=3>; title="a, <b>; rel=next"; rel="x NEXT"': "/v1/a%20b?p=3",
        "<https://api.example.org/b>;REL=next": "/b",
        '<?p=3>; rev="next"': None,
        '<?p=3>; rel="nextish"': None,
        "": None,
    }.items():
        spot = after(Link(), Seen({}, {"link": header}, 1, 0, 0), HERE, ORIGIN)
        assert (spot.target() if spot else None) == target, header


@pytest.mark.security
@given(VALUES, some.sampled_from(["$", "a", "a.b", "$.a.0.b", "a.-1", "b.9", "a.a.a.a"]))
def test_a_path_finds_what_is_there_and_nothing_else(value, path):
    found = look(value, path)
    if path == "$":
        assert found is value
    try:
        assert records(value, path, "x") is found
    except DataError:
        assert not isinstance(found, list)


@pytest.mark.security
@given(VALUES)
def test_a_word_goes_into_the_query_or_ends_the_pages(value):
    try:
        spot = after(Cursor(at="$"), Seen(value, {}, 1, 0, 0), HERE, ORIGIN)
    except DataError:
        assert value is True or isinstance(value, list | dict)
        return
    if spot is None:
        assert value in (None, "") or value is False
    else:
        assert spot == HERE.with_("cursor", str(value))


@pytest.mark.security
def test_an_origin_is_spelled_as_the_guard_spells_it():
    assert clean_host("api.example.org") in ORIGIN
