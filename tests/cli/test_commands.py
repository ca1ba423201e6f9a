from __future__ import annotations

import click
import pytest

from sluicegate.cli import commands


def test_every_command_is_listed_with_its_help_and_can_be_loaded():
    root = commands.root()
    context = click.Context(root)
    assert set(commands._PLACES) | {"version"} == set(commands._HELP)
    for name in root.list_commands(context):
        found = root.get_command(context, name)
        assert found is not None
        assert commands._HELP[name].endswith((".", ")."))


def test_help_lists_all_commands(call):
    told = call("--help")
    assert told.code == 0
    assert all(name in told.out for name in commands._HELP)


@pytest.mark.parametrize("name", sorted(set(commands._HELP) - {"version"}))
def test_every_command_has_a_page_of_help(call, name):
    told = call(name, "--help")
    assert told.code == 0
    assert told.out.startswith(f"Usage: sluice {name}")


@pytest.mark.parametrize(("typed", "meant"), [("aply", "apply"), ("valdate", "validate"), ("loginn", "login")])
def test_a_slip_is_answered_with_what_was_meant(call, typed, meant):
    told = call(typed)
    assert told.code == 2
    assert f"Did you mean '{meant}'?" in told.err


@pytest.mark.security
def test_no_option_takes_a_secret_on_the_command_line():
    """Arguments are seen by everybody on the machine: secrets come by file, standard input or prompt."""

    def walk(command, path):
        for each in command.params:
            yield path, each
        for name in getattr(command, "commands", {}):
            yield from walk(command.commands[name], f"{path} {name}")

    root = commands.root()
    context = click.Context(root)
    found = [
        (path, each)
        for name in root.list_commands(context)
        for path, each in walk(root.get_command(context, name), name)
    ]
    assert len(found) > 80
    words = ("password", "code", "token", "value", "refresh")
    bare = [
        (path, each.opts) for path, each in found for word in words if any(word == opt.strip("-") for opt in each.opts)
    ]
    assert bare == []
