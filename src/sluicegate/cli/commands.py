"""The tree of commands: each name leads to the module that holds it, loaded when the command is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

_PLACES = {
    "init": "local", "serve": "local", "trust": "trust", "settings": "local", "schema": "local", "archive": "archives",
    "passwords": "local",
    "login": "session", "logout": "session", "whoami": "session", "passwd": "session", "prove": "session",
    "bootstrap": "session", "switch": "session", "accept": "session",
    "apply": "flows", "get": "flows", "diff": "flows", "validate": "flows", "test": "flows", "items": "flows",
    "detect": "flows",
    "explain": "explain",
    "preview": "flows", "run": "runs", "runs": "runs", "logs": "runs", "cancel": "runs", "rejects": "runs",
    "tenant": "table", "user": "table", "secret": "table", "flow": "table", "connection": "table", "recipient": "table",
    "state": "table",
    "factor": "table", "policy": "policy", "audit": "table", "system": "table", "key": "table", "service": "table",
    "sso": "table",
    "support": "table", "superadmin": "table",
    "invitation": "table", "password": "table", "profile": "table", "grant": "table", "notice": "table",
    "mail": "table", "vault": "table", "seal": "seal", "unseal": "seal",
}  # fmt: skip

_HELP = {
    "init": "Make a home: keys, certificate, settings (--example: a first flow).",
    "serve": "Serve the API and the UI over TLS.",
    "trust": "Make this machine and your browsers trust the local CA, or no longer.",
    "settings": "List all settings and their values.",
    "schema": "Print the JSON Schema of a kind of document or plugin.",
    "archive": "Make keys for archives; list, verify, open and reseal archives.",
    "passwords": "Load a list of breached passwords into a server's home.",
    "login": "Sign in.",
    "logout": "Sign out.",
    "whoami": "Say who you are and what you may do.",
    "passwd": "Choose a new password.",
    "prove": "Prove once more that it is you, before something dangerous.",
    "switch": "Work in another tenant, or in none; for SuperAdmins.",
    "bootstrap": "Make the first SuperAdmin with the one-time code.",
    "apply": "Save the documents in files and folders.",
    "get": "Show definitions.",
    "diff": "Compare documents with what is saved.",
    "validate": "Check documents without saving them.",
    "test": "Test whether a connection answers.",
    "items": "List what a connection offers.",
    "explain": "Tell how a flow will be carried out; --local FILE tells it without a server.",
    "preview": "Show the first rows of a step.",
    "detect": "Look for columns that hold personal data, and suggest masks.",
    "run": "Run a flow; --local FILE runs it without a server.",
    "runs": "List runs.",
    "logs": "Show what happened in a run.",
    "cancel": "Cancel a run.",
    "rejects": "Show rows that a run put into quarantine.",
    "tenant": "Create, list, suspend and resume tenants.",
    "superadmin": "Create, list and deactivate SuperAdmins.",
    "support": "Let a SuperAdmin see your tenant's rows for a while.",
    "user": "Invite, create, list, reset, deactivate and reactivate users; give them another role.",
    "accept": "Accept an invitation: choose name and password, and be signed in.",
    "invitation": "Send an invitation again, or cancel it.",
    "password": "Ask for a link when you forgot your password, and use it.",
    "profile": "Show and change your profile and e-mail address.",
    "grant": "List and end your sign-ins.",
    "notice": "List what happened to your account.",
    "mail": "List mails to users and what became of them; test the relay.",
    "service": "Create service users: programs with nothing but API keys.",
    "key": "Create, list and revoke API keys.",
    "secret": "Set, link, test, list and delete secrets.",
    "flow": "List, get and delete flows.",
    "connection": "List, get, test and delete connections.",
    "state": "See, set, reset and undo up to where a flow has read.",
    "recipient": "List, get and delete recipients.",
    "factor": "Set up and remove second factors.",
    "policy": "Show and set what your tenant asks of its people.",
    "sso": "Set up, test and remove single sign-on.",
    "audit": "Read the audit trail.",
    "system": "Health and version of a server; its keys.",
    "vault": "See and replace the key of your tenant's secrets.",
    "seal": "See, change and rehearse what seals the root key.",
    "unseal": "Give your share or the passphrase to a sealed server.",
    "version": "Print the version.",
}


class _Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_HELP)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name == "version":
            return _version
        place = _PLACES.get(cmd_name)
        if place is None:
            return None
        found: click.Command = import_module(f"sluicegate.cli.{place}").command(cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_HELP.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _HELP:
            import difflib

            near = difflib.get_close_matches(args[0], _HELP, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " 'sluice --help' lists them."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.command("version", help=_HELP["version"])
@click.option("--json", "as_json", is_flag=True)
def _version(*, as_json: bool) -> None:
    from sluicegate import __version__

    print(f'{{"version": "{__version__}"}}' if as_json else f"sluice {__version__}")


def root() -> click.Group:
    """Return the tree of commands."""
    return _Root(
        "sluice",
        help="Sluicegate moves data between systems, securely. SLUICE_HOME names the home directory (~/.sluicegate).",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def json_option(function: Any) -> Any:
    """Add ``--json``: the answer as JSON."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(function)
