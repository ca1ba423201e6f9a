from __future__ import annotations

import io
import json
import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.log import Log
from sluicegate.base.secret import MASK, Secret

CANARY = "canary-hunter2"
INJECTIONS = {
    "CRLF": "a\r\nb",
    "a line of our own": 'a\n{"@timestamp":"x","log.level":"info","message":"forged"}',
    "ANSI": "a\x1b[2J\x1b[31mb",
    "ANSI in C1": "a\x9b31mb",
    "end of the value": '","log.level":"info","message":"forged',
    "backslash": "a\\",
    "NUL": "a\0b",
    "bidi": "a\u202egpj.exe",
    "bidi isolate": "a\u2066b\u2069",
    "line of Unicode": "a\u2028b\u2029c\x85d",
    "half a letter": "a\ud800b",
}


def write(message, /, **fields):
    out = io.StringIO()
    Log(out)(message, **fields)
    return out.getvalue()


def test_a_line_is_one_object_in_the_names_of_ecs():
    line = json.loads(
        write("It was done.", level="warning", request="r1", status=404, path="/x", who="u1", tenant="t1")
    )
    assert line.pop("@timestamp").endswith("Z")
    assert line == {
        "log.level": "warning", "message": "It was done.", "http.request.id": "r1", "http.response.status_code": 404,
        "url.path": "/x", "user.id": "u1", "organization.id": "t1",
    }  # fmt: skip


def test_what_is_none_is_left_out_and_false_is_not():
    line = json.loads(write("x", run=None, code=False, status=0))
    assert "sluice.run" not in line
    assert line["error.code"] is False
    assert line["http.response.status_code"] == 0


@pytest.mark.security
@pytest.mark.req("SEC-L04")
def test_a_field_that_is_not_on_the_list_is_not_written():
    told = write(
        "x", password=CANARY, body=CANARY, headers={"authorization": CANARY}, token=Secret(CANARY), level="info"
    )
    assert CANARY not in told
    assert set(json.loads(told)) == {"@timestamp", "log.level", "message"}


@pytest.mark.security
@pytest.mark.req("SEC-L04")
@pytest.mark.parametrize("held", [Secret(CANARY), [Secret(CANARY)], {"a": Secret(CANARY)}, (1, Secret(CANARY))])
def test_a_secret_is_a_mask_wherever_it_stands(held):
    for told in (write("x", error=held), write(held)):
        assert CANARY not in told
        assert MASK in told


@pytest.mark.security
@pytest.mark.req("SEC-L05")
@pytest.mark.parametrize("name", INJECTIONS)
def test_injected_text_stays_one_escaped_line(name):
    text = INJECTIONS[name]
    for told in (write(text), write("x", who=text), write("x", error=ValueError(text))):
        assert told.endswith("\n")
        assert told.count("\n") == 1
        assert told[:-1].isprintable()
        assert told.isascii()
        line = json.loads(told)
        assert line["log.level"] == "info"
        assert text in (line["message"], line.get("user.id"), line.get("error.message"))


@pytest.mark.security
@pytest.mark.req("SEC-L05")
@settings(max_examples=100, deadline=None)
@given(st.text(), st.text())
def test_any_text_is_one_line_that_reads_back(message, who):
    told = write(message, who=who)
    assert told.splitlines() == [told[:-1]]
    line = json.loads(told)
    assert (line["message"], line["user.id"]) == (message[:2000], who[:2000])


@pytest.mark.security
@pytest.mark.req("SEC-L05")
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_does_not_spoil_the_line(number):
    def refuse(name):
        raise AssertionError(name)

    assert json.loads(write("x", seconds=number), parse_constant=refuse)["event.duration"] == str(number)


@pytest.mark.security
def test_a_long_value_is_cut():
    told = write("m" * 100_000, error="e" * 100_000)
    assert len(told) < 5000


def test_lines_of_many_threads_do_not_mix():
    out = io.StringIO()
    log, barrier = Log(out), threading.Barrier(8)

    def work(number):
        barrier.wait()
        for each in range(50):
            log(f"{number}-{each}", run=str(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {line["message"] for line in lines} == {f"{a}-{b}" for a in range(8) for b in range(50)}
    assert all(line["message"].startswith(line["sluice.run"] + "-") for line in lines)


def test_it_writes_to_stderr_when_nothing_else_is_said(capsys):
    Log()("It was done.")
    told = capsys.readouterr()
    assert told.out == ""
    assert json.loads(told.err)["message"] == "It was done."
