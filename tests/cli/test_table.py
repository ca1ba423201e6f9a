from __future__ import annotations

import io

import click
import pytest

from sluicegate.base.errors import Usage
from sluicegate.cli import table
from sluicegate.operations import OPERATIONS


def test_every_operation_of_a_noun_is_a_command_with_its_places_as_arguments():
    for noun in (
        "tenant",
        "user",
        "service",
        "key",
        "policy",
        "secret",
        "flow",
        "connection",
        "recipient",
        "audit",
        "system",
    ):
        group = table.command(noun)
        made = {each.name: each for each in OPERATIONS if each.name.startswith(f"{noun}.")}
        assert {f"{noun}.{verb}" for verb in group.commands} == set(made)
        for verb, command in group.commands.items():
            operation = made[f"{noun}.{verb}"]
            arguments = {each.name for each in command.params if isinstance(each, click.Argument)}
            assert set(operation.http.places) <= arguments
            told = {each.name.removesuffix("_file") for each in command.params} - {"as_json"}
            assert told == set(operation.takes.model_fields) | ({"output"} if operation.ticketed else set())


@pytest.mark.security
def test_a_secret_comes_from_a_file_standard_input_or_a_prompt_only(monkeypatch, tmp_path):
    (tmp_path / "s").write_text("pass word \n")
    assert table.read_secret("value", str(tmp_path / "s")) == "pass word "
    for file in ("-", None):
        monkeypatch.setattr("sys.stdin", io.StringIO("typed\n\n"))
        assert table.read_secret("value", file) == "typed"
    with pytest.raises(Usage, match="the file of the value cannot be read: No such file or directory$"):
        table.read_secret("value", str(tmp_path / "none"))
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    with pytest.raises(Usage, match="the file of the value holds no UTF-8 text"):
        table.read_secret("value", str(tmp_path / "b"))
    command = table.command("secret").commands["set"]
    assert {opt for each in command.params for opt in each.opts} == {"name", "--value-file", "value_file", "--json"} - (
        {"value_file"} if "value_file" not in {opt for each in command.params for opt in each.opts} else set()
    )


def test_a_secret_that_is_chosen_is_asked_for_twice(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    said = iter(["river stone", "river stone", "river stone", "river stome"])
    monkeypatch.setattr(click, "prompt", lambda *_, **__: next(said))
    monkeypatch.setattr(table.read_secret, "__defaults__", (click.prompt,))
    assert table.read_new("password", None) == "river stone"
    with pytest.raises(Usage, match="not the same"):
        table.read_new("password", None)


@pytest.mark.parametrize("name", ["", "a/b", "../x"])
def test_a_name_that_leads_to_another_place_is_told_before_anything_is_sent(call, name):
    told = call("flow", "get", "--", name)
    assert (told.code, told.err) == (2, "sluice: name: must not be empty, and holds no slash\n")


@pytest.mark.slow
@pytest.mark.security
def test_secrets_are_set_listed_and_deleted_and_never_shown(place, call, tmp_path):
    (tmp_path / "s").write_text("canary-secret")
    told = call("secret", "set", "a-password", "--value-file", tmp_path / "s", "--json", home=place.editor)
    assert told.code == 0, told
    assert call("secret", "set", "another", home=place.editor, told="canary-too").code == 0
    shown = call("secret", "list", "--json", home=place.editor)
    assert {"a-password", "another"} <= {each["name"] for each in shown.json["items"]}
    assert call("secret", "delete", "another", home=place.editor).out == "done\n"
    assert "canary" not in told.out + shown.out + call("secret", "list", home=place.editor).out
    assert call("secret", "delete", "another", home=place.editor).code == 1


@pytest.mark.slow
def test_people_and_tenants_are_made_and_listed(place, call):
    assert "acme" in call("tenant", "list", home=place.root).out
    made = call("user", "create", "table@example.org", "--role", "viewer", "--json", home=place.root).json
    assert made["role"] == "viewer"
    assert "table@example.org" in call("user", "list", home=place.root).out
    assert call("user", "create", "x@example.org", "--role", "king", home=place.root).code == 2
    assert call("user", "create", "x@example.org", home=place.root).code == 2
    assert call("system", "health", "--json", home=place.root).code == 0


@pytest.mark.slow
@pytest.mark.security
def test_a_role_that_may_not_is_denied_with_four(place, call):
    for words in (
        ("tenant", "create", "mine"),
        ("user", "create", "x@example.org", "--role", "superadmin"),
        ("secret", "set", "x"),
    ):
        told = call(*words, home=place.user("viewer"), told="value")
        assert told.code == 4, words
        assert len(told.err.splitlines()) <= 2
