"""Sign in and out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sluicegate.base.errors import Usage
from sluicegate.cli import show
from sluicegate.cli.commands import json_option
from sluicegate.cli.remote import Server, call, owes_factor
from sluicegate.cli.table import read_new, read_secret, token_of
from sluicegate.operations import find


def command(name: str) -> click.Command:
    """Return the command called ``name``."""
    return {
        "login": login,
        "logout": logout,
        "whoami": whoami,
        "passwd": passwd,
        "prove": prove,
        "bootstrap": bootstrap,
        "switch": switch,
        "accept": accept,
    }[name]


def _password(file: str | None, read: Callable[[str, str | None], str] = read_secret) -> str:
    if file is None and os.environ.get("SLUICE_PASSWORD"):
        return os.environ["SLUICE_PASSWORD"]
    return read("password", file)


@click.command()
@click.option("--url", help="Address of the server, https://… (default: https://localhost:8443)")
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CA certificate to trust for this server (PEM).",
)
@click.option("--tenant", help="Tenant to work in.")
@click.option("--sso", is_flag=True, help="Sign in by single sign-on, in a browser on this machine.")
@click.option("--email", help="E-mail address.")
@click.option(
    "--password-file", help="File that holds the password; '-' reads standard input. SLUICE_PASSWORD does, too."
)
@click.option("--code-file", help="File with the code of your second factor when the server asks for one.")
@click.option("--new-password-file", help="File with the password to choose when the server asks for a new one.")
@json_option
def login(
    *,
    url: str | None,
    ca: Path | None,
    tenant: str | None,
    sso: bool,
    email: str | None,
    password_file: str | None,
    code_file: str | None,
    new_password_file: str | None,
    as_json: bool,
) -> None:
    """Sign in. The tokens are kept in SLUICE_HOME, readable by you alone."""
    server = Server(url, ca)
    if sso:
        _by_sso(server, tenant, code_file, as_json=as_json)
        return
    if email is None:
        if not sys.stdin.isatty():
            raise Usage("--email is needed")
        email = click.prompt("Email")
    password = _password(password_file)
    told: dict[str, Any] = {"tenant": tenant, "email": email, "password": password}
    tokens = server.call(find("session.login"), told) | {"sso": False}
    if tokens["standing"] == "factor":
        server.hold(tokens)
        tokens = server.call(find("session.factor"), {"code": read_secret("code of your app", code_file)})
        tokens["sso"] = False
    if tokens["must_change"]:  # nothing is kept until there is a new password: who was signed in before stays so
        if new_password_file is None and not sys.stdin.isatty():
            raise Usage("a new password must be chosen", hint="Add --new-password-file FILE, or sign in on a terminal.")
        new = read_new("new password", new_password_file)
        server.hold(tokens)
        server.call(find("session.password"), {"old": password, "new": new})
        tokens = server.call(find("session.login"), told | {"password": new}) | {"sso": False}
    _welcome(server, tokens, as_json=as_json)


def _by_sso(server: Server, tenant: str | None, code_file: str | None, *, as_json: bool) -> None:
    from sluicegate.cli.sso import go

    if tenant is None:
        raise Usage("--tenant is needed: each tenant has its own provider")
    back = go(server, find("sso.begin"), {"tenant": tenant})
    tokens = server.call(find("sso.finish"), back)
    if tokens["standing"] == "factor":
        server.hold(tokens)
        tokens = server.call(find("session.factor"), {"code": read_secret("code of your app", code_file)})
    _welcome(server, {**tokens, "sso": True}, as_json=as_json)


def _welcome(server: Server, tokens: dict[str, Any], *, as_json: bool) -> None:
    """Keep the tokens and say who has signed in."""
    server.keep(tokens)
    if tokens["standing"] == "enrol":
        raise owes_factor()
    me = server.call(find("session.whoami"))
    if as_json:
        show.answer(me, as_json=True)
    else:
        print(
            f"Signed in to {server.url} as {show.clean(me['email'])} ({show.clean(me['role'])}"
            f"{', tenant ' + show.clean(me['tenant_name']) if me['tenant_name'] else ''})."
        )


@click.command()
@json_option
def logout(*, as_json: bool) -> None:
    """Sign out, here and on the server."""
    server = Server()
    refresh = server.refresh_token
    if refresh:
        try:
            server.call(find("session.logout"), {"refresh": refresh})
        finally:
            server.forget()
    show.answer({"signed_out": True}, as_json=as_json)


@click.command()
@json_option
def whoami(*, as_json: bool) -> None:
    """Say who you are and what you may do."""
    show.answer(call("session.whoami"), as_json=as_json)


@click.command()
@click.argument("tenant", required=False)
@click.option("--none", is_flag=True, help="Work in no tenant.")
@json_option
def switch(*, tenant: str | None, none: bool, as_json: bool) -> None:
    """Work in another tenant, or in none; for SuperAdmins. It holds until you switch again or sign out."""
    if none is (tenant is not None):
        raise Usage("a tenant's name is needed, or --none")
    server = Server()
    told = server.call(find("session.switch"), {"tenant": tenant})
    server.take(told["access"], told["expires_in"])
    show.answer({"tenant": told["tenant"]} if tenant or as_json else {"tenant": "none"}, as_json=as_json)


@click.command()
@click.option("--old-file", help="File that holds the password until now.")
@click.option("--new-file", help="File that holds the new password.")
@json_option
def passwd(*, old_file: str | None, new_file: str | None, as_json: bool) -> None:
    """Choose a new password."""
    old, new = read_secret("old password", old_file), read_new("new password", new_file)
    call("session.password", old=old, new=new)
    show.answer({"changed": True}, as_json=as_json)


class _Prove(click.Group):
    """``sluice prove`` alone proves who you are; with a word, something else."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return ["leaks"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name != "leaks":
            return None
        from sluicegate.cli.leaks import leaks

        return leaks


@click.group(cls=_Prove, invoke_without_command=True)
@click.option("--sso", is_flag=True, help="By single sign-on, in a browser on this machine.")
@click.option("--password-file", help="File that holds your password.")
@click.option("--code-file", help="File with the code of your second factor, when you have one.")
@json_option
@click.pass_context
def prove(ctx: click.Context, /, *, sso: bool, password_file: str | None, code_file: str | None, as_json: bool) -> None:
    """Prove once more that it is you, before something dangerous. With "leaks": prove that nothing leaks."""
    if ctx.invoked_subcommand is not None:
        return
    told: dict[str, Any] = {} if sso else {"password": _password(password_file)}
    if code_file is not None:
        told["code"] = read_secret("code of your app", code_file)
    elif sys.stdin.isatty():
        told["code"] = click.prompt("Code of your app (if you have one)", default="", show_default=False) or None
    if sso:
        Server().prove_by_sso(told.get("code"))
    else:
        call("session.prove", **told)
    show.answer({"proved": True}, as_json=as_json)


@click.command()
@click.option("--url", help="Address of the server.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CA certificate to trust (PEM)."
)
@click.option("--code-file", help="File that holds the one-time code.")
@click.option("--email", required=True, help="E-mail address of the first SuperAdmin.")
@click.option("--name", required=True, help="Full name.")
@click.option("--password-file", help="File that holds the password to choose.")
@json_option
def bootstrap(
    *,
    url: str | None,
    ca: Path | None,
    code_file: str | None,
    email: str,
    name: str,
    password_file: str | None,
    as_json: bool,
) -> None:
    """Make the first SuperAdmin with the one-time code that the first start of the server prints."""
    server = Server(url, ca)
    told = {
        "code": read_secret("code", code_file),
        "email": email,
        "name": name,
        "password": _password(password_file, read_new),
    }
    server.keep(server.call(find("session.bootstrap"), told))
    show.answer(server.call(find("session.whoami")), as_json=as_json)


@click.command()
@click.option("--url", help="Address of the server; that of the link when left out.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CA certificate to trust (PEM)."
)
@click.option("--link-file", help="File that holds the link of the invitation. Asked for when left out.")
@click.option("--name", required=True, help="Full name.")
@click.option("--password-file", help="File that holds the password to choose.")
@json_option
def accept(
    *, url: str | None, ca: Path | None, link_file: str | None, name: str, password_file: str | None, as_json: bool
) -> None:
    """Accept an invitation: choose name and password, and be signed in."""
    link = read_secret("link", link_file)
    place, marked, _ = link.strip().partition("/#/")
    server = Server(url or (place if marked else None), ca)
    told = {"token": token_of(link), "name": name, "password": _password(password_file, read_new)}
    tokens = server.call(find("invitation.accept"), told)
    server.keep(tokens)
    if tokens["standing"] == "enrol":
        raise owes_factor("You are in. ")
    show.answer(server.call(find("session.whoami")), as_json=as_json)
