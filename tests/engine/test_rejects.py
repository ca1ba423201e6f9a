from __future__ import annotations

import json

import pytest

from sluicegate.base.errors import DataError
from sluicegate.crypto import seal
from sluicegate.engine.job import Job
from sluicegate.engine.meter import Meter
from sluicegate.engine.rejects import Rejects
from sluicegate.kit.rows import Reject


def reject(line, raw="7,x"):
    return Reject(line=line, column="v", reason="v is no number", raw=raw)


@pytest.fixture
def told():
    return []


@pytest.fixture
def keeping(tmp_path, told):
    def make(**more):
        meter = Meter(lambda *_: None)
        job = Job("run", "run-1", tmp_path, quarantine_folder=tmp_path / "q", **more)
        return Rejects(job, lambda kind, body: told.append((kind, body)), meter), meter

    return make


def test_stop_names_place_and_reason(keeping):
    rejects, meter = keeping()
    with pytest.raises(DataError, match="v is no number") as caught:
        rejects.taker("a", "stop", 10)(reject(3))
    assert caught.value.where == "step a, line 3, column v"
    assert meter.step("a").rejected == 0


def test_skip_counts_all_and_shows_the_first_few(keeping, told, tmp_path):
    rejects, meter = keeping()
    take = rejects.taker("a", "skip", 100)
    for line in range(1, 21):
        take(reject(line))
    rejects.commit()
    assert meter.step("a").rejected == 20
    assert [body["line"] for _, body in told] == [1, 2, 3, 4, 5]
    assert not (tmp_path / "q").exists()


def test_one_more_than_the_limit_stops(keeping):
    rejects, _ = keeping()
    take = rejects.taker("a", "skip", 2)
    take(reject(1))
    take(reject(2))
    with pytest.raises(DataError, match="more than 2 rows were rejected; the last: v is no number"):
        take(reject(3))


def test_steps_are_counted_apart_and_kept_together(keeping, tmp_path):
    rejects, meter = keeping()
    rejects.taker("a", "quarantine", 5)(reject(1, "ä,1"))
    rejects.taker("b", "quarantine", 5)(reject(2))
    rejects.commit()
    lines = [json.loads(line) for line in (tmp_path / "q" / "run-1.ndjson").read_text().splitlines()]
    assert [(line["step"], line["line"], line["raw"]) for line in lines] == [("a", 1, "ä,1"), ("b", 2, "7,x")]
    assert (meter.step("a").rejected, meter.step("b").rejected) == (1, 1)


@pytest.mark.security
@pytest.mark.req("SEC-B02")
def test_raw_rows_reach_the_disk_sealed_and_the_report_never(keeping, tmp_path, told):
    identity, recipient = seal.new_identity()
    rejects, _ = keeping(quarantine=recipient)
    rejects.taker("a", "quarantine", 5)(reject(1, "canary,7"))
    on_the_way = b"".join(each.read_bytes() for each in (tmp_path / "q").iterdir())
    rejects.commit()
    (file,) = (tmp_path / "q").iterdir()
    assert b"canary" not in on_the_way + file.read_bytes()
    assert "canary" not in repr(told)
    with file.open("rb") as sealed:
        assert json.loads(seal.open_sealed(identity, sealed).read())["raw"] == "canary,7"


@pytest.mark.security
@pytest.mark.parametrize("sealed", [False, True])
def test_rejects_that_are_not_committed_are_gone(keeping, tmp_path, sealed):
    rejects, _ = keeping(quarantine=seal.new_identity()[1] if sealed else "")
    rejects.taker("a", "quarantine", 5)(reject(1))
    rejects.abort()
    rejects.abort()
    rejects.commit()
    assert list((tmp_path / "q").iterdir()) == []
