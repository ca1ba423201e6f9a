from __future__ import annotations

import os
import re
import subprocess
import sys
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sluicegate.base import model
from sluicegate.base.model import Id, Model, Name, new_id

NAMES, IDS = TypeAdapter(Name), TypeAdapter(Id)
CANARY = "canary-hunter2"
BAD_NAMES = [
    "", "A", "a b", "-a", "a-", "_a", "a_", "a" * 65, "ä", "a/b", "../a", "a.b", "a\n", "\na", "a\0", "a;b", 'a"', "a'b",
    "a%00", "{a}", "ａ",
]  # fmt: skip


class Sample(Model):
    """A thing."""

    text: str = "x"
    """What it says."""
    raw: bytes = b""
    """What it is."""


@pytest.mark.parametrize("name", ["a", "0", "a-b_c", "a--b", "2013-01-01", "a" * 64])
def test_a_plain_word_is_a_name(name):
    assert NAMES.validate_python(name) == name


@pytest.mark.security
@pytest.mark.req("SEC-P01")
@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_could_mean_more_than_a_word_is_no_name(name):
    with pytest.raises(ValidationError):
        NAMES.validate_python(name)


@pytest.mark.security
@pytest.mark.req("SEC-P01")
@settings(max_examples=100, deadline=None)
@given(st.text(max_size=70))
def test_any_text_is_a_plain_word_or_refused(text):
    try:
        taken = NAMES.validate_python(text)
    except ValidationError:
        return
    assert taken == text
    assert 1 <= len(text) <= 64
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert text[0].isalnum()
    assert text[-1].isalnum()


def test_an_id_is_a_uuid_of_version_7_and_fits_its_type():
    made = new_id()
    assert IDS.validate_python(made) == made
    assert (UUID(made).version, str(UUID(made))) == (7, made)


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_ids_are_all_different_and_random_beyond_their_time(monkeypatch):
    monkeypatch.setattr(model.time, "time_ns", lambda: 1_790_000_000_000_000_000)
    made = [new_id() for _ in range(2000)]
    assert len({each[:13] for each in made}) == 1
    assert len({each[15:] for each in made}) == 2000


def test_ids_sort_by_the_moment_they_were_made(monkeypatch):
    made = []
    for moment in (1_600_000_000, 1_790_000_000, 1_790_000_001, 4_000_000_000):
        monkeypatch.setattr(model.time, "time_ns", lambda moment=moment: moment * 1_000_000_000)
        made.append(new_id())
    assert made == sorted(made)


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize(
    "id_",
    [
        "", "1", "x" * 36, "6f9619ff-8b86-4011-b42d-00c04fc964ff", "01890A5D-AC96-774B-BCCE-B302099A8057",
        "01890a5d-ac96-774b-bcce-b302099a8057\n", "01890a5dac96774bbcceb302099a8057", "{01890a5d-ac96-774b-bcce-b302099a8057}",
    ],
)  # fmt: skip
def test_what_we_did_not_choose_is_no_id(id_):
    with pytest.raises(ValidationError):
        IDS.validate_python(id_)


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Sample.model_validate({"text": "a", "role": "superadmin"})


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
def test_a_value_cannot_be_changed():
    made = Sample()
    with pytest.raises(ValidationError, match="frozen"):
        made.text = "other"
    assert made == Sample()


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_refusal_does_not_print_the_input():
    with pytest.raises(ValidationError) as told:
        Sample.model_validate({"text": [CANARY], "raw": {CANARY: 1}})
    assert CANARY not in str(told.value)
    assert CANARY not in repr(told.value)


def test_docstrings_of_fields_are_the_help():
    assert Sample.model_json_schema()["properties"]["text"]["description"] == "What it says."


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=50))
def test_bytes_go_through_json_and_come_back(raw):
    assert Sample.model_validate_json(Sample(raw=raw).model_dump_json()).raw == raw


def test_the_pattern_of_names_is_the_one_the_schema_shows():
    shown = TypeAdapter(Name).json_schema()["pattern"]
    assert re.fullmatch(shown, "a-b")
    assert not re.fullmatch(shown, "a b")


@pytest.mark.security
@pytest.mark.req("SEC-T19")
@pytest.mark.parametrize(
    "text", ["ey" + "J" + "a" * 20 + ".e30.x", "my rt_" + "a" * 43, "slg_" + "0" * 60, "tk_" + "b" * 43]
)
def test_no_token_or_key_is_kept_as_a_name(text):
    with pytest.raises(ValidationError, match="must not hold a token or a key"):
        TypeAdapter(model.DisplayName).validate_python(text)
    assert TypeAdapter(model.DisplayName).validate_python("rt_short tk_note eyJ") == "rt_short tk_note eyJ"


@pytest.mark.security
def test_no_package_that_lies_beside_sees_what_is_checked(tmp_path):
    told = tmp_path / "spy-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[pydantic]\nspy = spy:plugin\n")
    (tmp_path / "spy.py").write_text(
        "print('seen')\nclass Plugin:\n    def new_schema_validator(self, *_): return None, None, None\nplugin = Plugin()\n"
    )
    code = "from sluicegate.base.settings import Grant; Grant.model_validate({'host': 'a'}); print('checked')"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    del env["PYDANTIC_DISABLE_PLUGINS"]  # this process has set it
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == ["checked"]
