"""The proof that nothing leaks: a tenant of its own, what is planted and done there, the search, and its end.

It works through the API alone. Only what flows read is put into the tenant's directory by hand, and that directory is
emptied in the end.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from sluicegate.base import settings
from sluicegate.base.errors import Conflict, Denied, SluiceError, Usage
from sluicegate.base.model import new_id
from sluicegate.cli import show
from sluicegate.cli.canaries import FILE, ROWS, Canaries, random_word
from sluicegate.cli.remote import Server
from sluicegate.conformance.leaks import flows
from sluicegate.conformance.leaks.installation import Installation, swap
from sluicegate.conformance.leaks.report import Report
from sluicegate.conformance.leaks.search import Searcher
from sluicegate.operations import find

_ENDED = frozenset({"succeeded", "finished_with_rejects", "failed", "cancelled"})
_PATIENCE = 120.0
_MARK = "home"
"""A file that says whose own folder it is in."""
_NAME = re.compile(r"prove-leaks-[0-9a-z]{12}")
_LEFT = ("sluice", "task-", "tmp")


class Proof:
    """The tenant that it works in, what was planted there, and who works in it."""

    def __init__(self, place: Path, own: Path, name: str) -> None:
        """``place``: the server's home. ``own``: a folder for what only this proof may hold. ``name``: the tenant's."""
        self._place, self._own, self._name = place.absolute(), own, name
        self._withdrawn = False
        self.left: list[str] = []
        """What could not be taken away, and why."""
        self.earlier: list[str] = []
        """Tenants of proofs that were cut off, which have been suspended now."""
        self.apart: dict[Path, set[str]] = {}
        """What may lie where: rows where a flow or a person puts them, keys in their own files."""
        if not (self._place / "sluice.toml").exists():
            raise Usage("this is no home of a server", where=str(place), hint="Name it: --home DIRECTORY")
        if self._place.stat().st_uid != os.geteuid():  # else the server could not read what is put there, nor delete it
            raise Usage(
                "this home belongs to another user", where=str(place), hint="Run it as that user: sudo -u USER sluice …"
            )
        self._settings = settings.load({**os.environ, "SLUICE_HOME": str(self._place)})
        self._held = Installation(self._settings, os.environ)
        self._root = Server()
        self._servers = [self._root]
        self._tenant: dict[str, Any] = {}
        self._began = time.time() - 1
        self._before: str | None = None
        self._planting = Canaries(self._root, own)
        self.canaries = self._planting.words
        self.answers: list[tuple[str, str, bool]] = []
        """Where, what was said, and whether whoever asked may read rows."""
        self._runs: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as made:
            made.push(self._leave)
            made.enter_context(_alone(self._place))
            me = self._root.call(find("session.whoami"))
            if me["role"] != "superadmin":
                raise Denied("This makes a tenant, so a SuperAdmin must be signed in.", hint="Run: sluice login")
            self._before = me["tenant_name"]
            (self._own / _MARK).write_text(str(self._place), encoding="utf-8")
            self._end_earlier()
            made.callback(self._remove)
            made.callback(self.withdraw)
            self._tenant = self._root.call(find("tenant.create"), {"name": self._name})
            self._switch(self._name)
            self._made = made.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take away what was made: the files at once; the tenant stays suspended, with its trail."""
        self._made.__exit__(kind, fault, trace)

    def _leave(self, kind: type[BaseException] | None, *_: object) -> None:
        for server in self._servers:
            server.close()
        for each in self.left if kind is not None else ():  # else it is in the report
            click.echo(f"LEFT       {show.clean(each)}", err=True)

    def withdraw(self) -> None:
        """Deactivate the people, leave the tenant and suspend it, each whatever comes of the others; once.

        It comes before the search, which may take longer than a proof of who somebody is counts (``StepUp``). It only
        marks records, so that all there is to search stays where it is.
        """
        if not self._tenant or self._withdrawn:
            return
        self._withdrawn = True
        self._root.close()  # it may have been cut off between question and answer
        name, number = self._name, self._tenant["id"]
        with ExitStack() as steps:  # an interruption does not skip them either
            suspend = (self._root.call, find("tenant.suspend"), {"id": number})
            steps.callback(self._try, f"tenant {name} is active: sluice tenant suspend {number}", *suspend)
            steps.callback(self._try, f"you are signed in to {name}: sluice switch", self._switch, self._before)
            self._try(f"people of {name} are active", self._deactivate)

    def _deactivate(self) -> None:
        self._switch(self._name)  # another command of the same sign-in may have gone elsewhere: no other's people
        for each in self._root.call(find("user.list"))["items"]:
            self._root.call(find("user.deactivate"), {"id": each["id"]})

    def _remove(self) -> None:
        if self._tenant:
            self._try(f"files of {self._name} remain", self._clear, self._tenant["id"])

    def _clear(self, tenant: str) -> None:
        if self._planting.file:
            self._planting.file.unlink(missing_ok=True)
        for folder in ("data", "quarantine"):
            with suppress(FileNotFoundError):
                shutil.rmtree(self._place / folder / tenant)

    def _end_earlier(self) -> None:
        """Take down what a proof that was killed has left. There is no other one now: this one holds the home."""
        tenants = self._root.call(find("tenant.list"))["items"]
        for each in tenants:
            if _NAME.fullmatch(each["name"]):
                if each["state"] == "active":
                    self._root.call(find("tenant.suspend"), {"id": each["id"]})
                    self.earlier.append(each["name"])
                self._clear(each["id"])
        for mark in Path(tempfile.gettempdir()).glob(f"prove-leaks-*/{_MARK}"):
            if mark.parent != self._own and _ours(mark.parent) and mark.read_text(encoding="utf-8") == str(self._place):
                shutil.rmtree(mark.parent)
        for source in self._settings.sources:  # the operator may have opened one to a name, which serves once
            if _NAME.fullmatch(source.tenant):
                if source.folder:
                    (source.folder / FILE).unlink(missing_ok=True)
                if all(each["name"] != source.tenant for each in tenants):
                    self._name = source.tenant

    def _try(self, what: str, do: Callable[..., object], *given: Any) -> None:
        """Do it; when that fails, note ``what`` is then left, and why."""
        try:
            do(*given)
        except (SluiceError, OSError) as fault:
            self.left.append(f"{what} ({fault})")

    def run(self, also: list[Path]) -> dict[str, Any]:
        """Plant, do everything, go, search; return the report."""
        report = self.act()
        self.withdraw()
        return self.tell(report, also)

    def act(self) -> Report:
        """Plant, and do everything."""
        admin = self._person()
        self._planting.plant(admin)
        source = next((each for each in self._settings.sources if each.tenant == self._name), None)
        self._planting.link(admin, source, os.environ)
        self.canaries |= self._held.words
        folder = self._place / "data" / self._tenant["id"]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in flows.inputs(str(self.canaries[ROWS])).items():
            (folder / name).write_text(text, encoding="utf-8")
        self.apart |= {folder / name: {ROWS} for name in flows.PLAIN} | self._held.apart
        if self._planting.file:
            self.apart[self._planting.file] = {"linked file"}
        report = Report(Searcher(self.canaries))
        for name in flows.FLOWS:
            self._carry(admin, name, report)
        self.ask(admin)
        return report

    def _person(self) -> Server:
        admin = self._planting.person(self._name)
        self._servers.append(admin)
        return admin

    def tell(self, report: Report, also: list[Path]) -> dict[str, Any]:
        """Search, and return what all of it has come to."""
        self.search(report, also)
        told = report.body()
        missed = {name: state for name, state in self._runs.items() if state != flows.STATES[name]}
        told |= {"ok": told["ok"] and not missed, "not_done": missed}
        told |= {"uncovered": [*self._planting.missing, *self._held.missing], "earlier": self.earlier}
        return {"secrets": sorted(self.canaries), "runs": self._runs, "swap": swap(), **told}

    def search(self, report: Report, also: list[Path]) -> None:
        """Search the home, what is ``also`` named, the temporary files of the machine, and all that was said."""
        for place in (self._place, *also):
            if place.is_dir():
                report.folder(place, self.apart)
            else:
                report.file(place)
        for each in sorted(Path(tempfile.gettempdir()).iterdir()):  # what drivers and libraries leave
            if each.name.startswith(_LEFT) and each != self._own and each not in self._place.parents:
                report.folder(each, self.apart, self._began)
        for at, said, rows in self.answers:
            report.answer(at, said, {ROWS} if rows else ())

    # -- what is done --------------------------------------------------------------------------------------------------

    def _carry(self, admin: Server, flow: str, report: Report) -> None:
        """Run a flow to its end and look at all processes meanwhile."""
        run = admin.call(find("run.start"), {"name": flow})["id"]
        end = time.monotonic() + _PATIENCE
        while (found := admin.call(find("run.get"), {"id": run}))["state"] not in _ENDED:
            if time.monotonic() > end:
                raise Conflict("A run does not end.", where=f"flow {flow}", hint="See: sluice runs")
            report.processes({*self._held.environment, "linked variable"})
            time.sleep(0.1)
        self._runs[flow] = found["state"]
        for server, rows in ((admin, True), (self._root, False)):
            for name, ask in (("run.get", {"id": run}), ("run.events", {"id": run}), ("run.rejects", {"id": run})):
                self._say(server, name, ask, rows=rows)
            for what in ("run.log", *(("run.rejected",) if rows else ())):
                self._download(server, what, {"id": run}, rows=rows)

    def ask(self, admin: Server) -> None:
        """Ask for all that an Administrator and a SuperAdmin may see, and for a few things that fail."""
        for flow, step in flows.PREVIEWS:
            self._say(admin, "flow.preview", {"name": flow, "step": step}, rows=True)
        for name in ("here", "shop", "far", *flows.MANAGERS):
            self._say(admin, "connection.test", {"name": name}, rows=False)
            self._say(admin, "connection.items", {"name": name}, rows=False)
        for name in flows.LINKS:
            self._say(admin, "secret.test", {"name": name}, rows=False)
        self._say(admin, "flow.preview", {"name": "masked", "step": "masked"}, rows=False)
        self._say(admin, "connection.detect", {"name": "here", "item": "keys.csv"}, rows=False)
        self._say(admin, "run.list", {}, rows=True)
        self._say(self._root, "run.list", {}, rows=False)
        for server in (admin, self._root):
            for each in ("secret.list", "flow.list", "connection.list", "recipient.list", "user.list",
                         "key.list", "factor.list", "sso.get", "sso.test", "policy.get", "vault.get", "grant.list",
                         "notice.list", "mail.list", "archive.list", "audit.list", "system.about"):  # fmt: skip
                self._say(server, each, {}, rows=False)
            for name in ("connection.get", "connection.versions"):
                self._say(server, name, {"name": "far"}, rows=False)
            self._say(server, "flow.get", {"name": "out"}, rows=False)
            self._download(server, "audit.export", {}, rows=False)
        for seal, item, secret in (("age", "sealed.parquet.age", "age"), ("zip", "sealed.ndjson.zip", "zip"),
                                   ("openpgp", "sealed.csv.pgp", "pgp"), ("age", "sealed.csv.pgp", "zip")):  # fmt: skip
            told = {"name": "here", "item": item, "seal": seal, "identity": secret}
            self._say(admin, "archive.verify", told, rows=False)
        wrong = {"tenant": self._tenant["name"], "email": "canary@leaks.invalid", "password": f"{random_word()}"}
        self._say(admin, "session.login", wrong, rows=False)
        self._say(admin, "session.prove", {"password": self.canaries["password"], "code": "000000"}, rows=False)
        password = str(self.canaries["database password"])
        self._say(admin, "secret.set", {"name": "Not A Name", "value": password}, rows=False)
        source = f"kind: connection\nname: x\ntype: postgres\npassword: {json.dumps(password)}\n"
        self._say(admin, "definition.apply", {"source": source}, rows=False)

    def _say(self, server: Server, name: str, ask: dict[str, Any], *, rows: bool) -> None:
        """Keep what is said to a question, be it an error."""
        try:
            said = json.dumps(server.call(find(name), ask), ensure_ascii=False)
        except SluiceError as fault:
            said = json.dumps(fault.problem(), ensure_ascii=False)
        self.answers.append((f"answer of {name}", said, rows))

    def _download(self, server: Server, name: str, ask: dict[str, Any], *, rows: bool) -> None:
        target = self._own / new_id()
        try:
            server.download(find(name), ask, target)
            self.answers.append((f"download of {name}", target.read_text(encoding="utf-8"), rows))
        except SluiceError as fault:
            self.answers.append((f"download of {name}", json.dumps(fault.problem()), rows))

    def _switch(self, tenant: str | None) -> None:
        told = self._root.call(find("session.switch"), {"tenant": tenant})
        self._root.take(told["access"], told["expires_in"])


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let one proof at a time into a home: the next takes down what it finds. The kernel lets go of it in any case."""
    held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another proof is running here.", where=str(place), hint="Wait until it ends.") from None
        yield
    finally:
        os.close(held)


def _ours(file: Path) -> bool:
    about = file.lstat()
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
