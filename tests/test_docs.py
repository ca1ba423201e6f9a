"""What the documentation says is so: the reference is fresh, links lead somewhere, the quickstart runs as written."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from configparser import ConfigParser
from pathlib import Path

import click
import pytest

from sluicegate.base import settings
from sluicegate.base.errors import CODES
from sluicegate.cli.commands import root
from sluicegate.guard.policy import GRANTS
from sluicegate.kit import net, registry
from sluicegate.operations import OPERATIONS
from tools import docs, pages
from tools.schema import anchor

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SOURCE = re.compile(r"`((?:base|crypto|kit|steps|formats|connectors|store|guard|engine|operations|web|cli)/[\w/]+\.py)")


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```", "", page.read_text())


def anchors(page: Path) -> set[str]:
    return {anchor(found) for found in re.findall(r"(?m)^#+ (.+)$", prose(page))}


def reference(name: str) -> str:
    return (DOCS / "reference" / f"{name}.md").read_text()


def commands(command: click.Command, path: str) -> list[str]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [each for name, inner in found if inner for each in commands(inner, f"{path} {name}")]


def test_the_reference_is_fresh():
    stale = [str(path.relative_to(ROOT)) for path, text in docs.pages().items() if path.read_text() != text]
    assert stale == [], "run: python tools/docs.py"


@pytest.mark.slow
def test_a_stale_page_is_seen(tmp_path, monkeypatch, capsys):
    shutil.copytree(DOCS, tmp_path / "docs")
    monkeypatch.setattr(docs, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    assert docs.main(["--check"]) == 0
    with (tmp_path / "docs" / "reference" / "errors.md").open("a") as page:
        page.write("One more line.\n")
    assert docs.main(["--check"]) == 1
    assert "docs/reference/errors.md is stale" in capsys.readouterr().out
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    lost = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_file() or (fragment and fragment not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_every_page_is_in_the_index():
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(prose(DOCS / "index.md"))}
    assert [page.name for page in DOCS.rglob("*.md") if page not in linked and page.name != "index.md"] == []


@pytest.mark.security
@pytest.mark.parametrize("each", OPERATIONS, ids=lambda each: each.name)
def test_every_operation_is_documented_with_its_permission(each):
    section = reference("operations").split(f"\n## {each.name}\n")
    assert len(section) == 2
    text = section[1].split("\n## ")[0]
    assert f"{each.http.method} /api/v1{each.http.path}" in text
    assert pages.roles_of(each) in text
    assert all(f"`{field}`" in text for field in each.takes.model_fields)


def test_every_setting_is_documented():
    text = reference("settings")
    assert [name for name, _, _ in settings.describe() if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize(("shape", "page"), [("connection", "connections"), ("format", "formats"), ("step", "steps")])
def test_every_plugin_is_documented_with_its_fields(shape, page):
    for type_ in registry.types(shape):
        text = reference(page).split(f"\n## {type_}\n")[1].split("\n## ")[0]
        schema = registry.find(shape, type_).model_json_schema(by_alias=True)
        assert [name for name in schema["properties"] if name != "kind" and f"| `{name}` |" not in text] == [], type_


def test_every_command_is_documented():
    told = set(re.findall(r"(?m)^#{2,3} (sluice .+)$", reference("cli")))
    assert [path for path in commands(root(), "sluice") if path not in told] == []


def test_every_error_code_is_documented():
    text = reference("errors")
    assert [code for code, kind in CODES.items() if f"| `{code}` | {kind.status} | {kind.exit} |" not in text] == []


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_the_table_of_roles_is_the_one_in_force():
    text = (DOCS / "security" / "model.md").read_text()
    rows = {cells[1].strip(" `"): [cell.strip() == "yes" for cell in cells[2:-1]] for line in text.splitlines()
            if re.match(r"\| `\w+:\w+` \|", line) and (cells := line.split("|"))}  # fmt: skip
    assert rows == {
        each.value: [each in GRANTS[role] for role in GRANTS] for each in sorted(set().union(*GRANTS.values()))
    }


@pytest.mark.security
@pytest.mark.req("SEC-V14")
def test_the_inventory_of_keys_is_complete():
    code = "".join(path.read_text() for path in (ROOT / "src" / "sluicegate").rglob("*.py"))
    made = set(re.findall(r'derive\([\w.]+, "([\w-]+)"\)', code))
    page = (DOCS / "security" / "crypto.md").read_text().split("## Purposes of the main key")[1].split("\n## ")[0]
    assert made == set(re.findall(r"(?m)^\| `([\w-]+)` \|", page))
    assert "AES-512" not in "".join(page.read_text() for page in PAGES)


@pytest.mark.security
@pytest.mark.req("SEC-C01")
def test_the_picture_of_the_floors_is_the_contract():
    contract = ConfigParser()
    contract.read(ROOT / ".importlinter")
    layers = contract["importlinter:contract:floors"]["layers"].split("\n")
    block = re.search(r"## Floors.*?```text\n(.*?)```", (DOCS / "architecture.md").read_text(), re.DOTALL)
    assert block is not None
    drawn = [re.split(r"\s{2,}", line)[0] for line in block[1].splitlines()]
    assert drawn == [layer.strip() for layer in layers if layer.strip()]


def test_files_that_the_pages_name_exist():
    named = {name for page in PAGES for name in SOURCE.findall(page.read_text())}
    assert named
    assert sorted(name for name in named if not (ROOT / "src" / "sluicegate" / name).is_file()) == []


# -- the quickstart ----------------------------------------------------------------------------------------------------

STEADY = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\d+\.\d+ (s|kB)\b", r"N \1"),
    (r"localhost:\d+", "localhost:8443"),
    (r"\b\w{4}(-\w{4}){6}\b", "CODE"),
    (r"\b[0-9a-f]{16}\b", "FINGERPRINT"),
    (r"\s+", " "),
)
"""What differs from run to run."""


def steady(line: str, home: str = "") -> str:
    line = line.rpartition("\x1b[2K")[2]  # a progress line that was drawn over
    if home:
        line = line.replace(home, "~")
    for pattern, word in STEADY:
        line = re.sub(pattern, word, line)
    return line.strip()


class Person:
    """Somebody at a terminal: runs commands and answers what they ask."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "work"
        self.folder.mkdir()
        (home / "bin").mkdir()
        command = home / "bin" / "sluice"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sluicegate "$@"\n')
        command.chmod(0o755)
        port = net.free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
        self.environment = kept | {
            "HOME": str(home),
            "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "SLUICE_SERVER_PORT": str(port),
            "SLUICE_URL": f"https://localhost:{port}",
            "SLUICE_PASSWORDS_MEMORY": "19456",
            "SLUICE_PASSWORDS_ROUNDS": "2",
        }
        self.server: subprocess.Popen[str] | None = None
        self.said: list[str] = []
        self.answers = {"New password": "three quiet lamps at dusk", "Value": "wine-dark"}

    def serve(self, block: str) -> str:
        """Run a block that does not end, in the background, until it says where it serves."""
        self.server = subprocess.Popen(
            ["sh", "-c", f"exec {block}"], cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE
        )
        said = ""
        for line in self.server.stdout:
            said += line
            if "serves at" in line:
                break
        self.answers["Code"] = re.search(r"(?m)^ {4}([a-z0-9-]{30,})$", said)[1]
        return said

    def type(self, block: str, code: int = 0) -> str:
        """Run a block on a terminal, answer its questions, and return what it showed; it must exit with ``code``."""
        told = re.search(r"password +(\w{4}(?:-\w{4}){6})\b", "".join(self.said))
        for_ed = "ed@" in block and "login" in block
        self.answers["Password"] = told[1] if told and for_ed else "a few words in a row"
        last = re.findall(STEADY[0][0], "".join(self.said))
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            ["sh", "-e", "-c", re.sub(r"\bRUN\b", last[-1] if last else "RUN", block)],
            cwd=self.folder, env=self.environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        try:
            said = self._listen(ours, child)
        finally:
            os.close(ours)
        assert child.wait(10) == code, f"{block}\n{said}"
        self.said.append(said)
        return said

    def _listen(self, terminal: int, child: subprocess.Popen[bytes]) -> str:
        said, answered, answer, until = "", 0, b"", time.monotonic() + 60
        while time.monotonic() < until:
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                said += os.read(terminal, 65536).decode(errors="replace").replace("\r\n", "\n")
            except OSError:  # the other end is closed: the program has ended
                return said
            asked = re.search(r"(?m)^([A-Z][\w ]+): $", said[answered:])
            if asked:
                if asked[1] != "Once more":  # that is the last answer again
                    answer = self.answers[asked[1].replace("_", " ")].encode() + b"\n"
                os.write(terminal, answer)
                answered = len(said)
        child.kill()
        raise AssertionError(f"it does not end:\n{said}")

    def leave(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(20)
            finally:
                self.server.kill()
                self.server.stdout.close()


@pytest.fixture
def person(tmp_path):
    made = Person(tmp_path)
    yield made
    made.leave()


@pytest.mark.slow
def test_the_quickstart_runs_as_written(person):
    page = (DOCS / "quickstart.md").read_text()
    blocks = re.findall(r"(?ms)^```(sh|text)\n(.*?)^```", page)
    assert sum(kind == "sh" for kind, _ in blocks) > 10
    shown: set[str] = set()
    for kind, block in blocks:
        if kind == "sh":
            said = person.serve(block) if block.strip() == "sluice serve" else person.type(block)
            shown = {steady(line, str(person.home)) for line in said.splitlines()}
        else:
            missing = [line for line in block.splitlines() if steady(line) not in shown]
            assert missing == [], f"not among what it showed: {sorted(shown)}"


@pytest.mark.slow
def test_the_readme_runs_as_written(person):
    """Each command of its console blocks, in order; what stands below a command is what it shows."""
    page = (ROOT / "README.md").read_text()
    shown: set[str] = set()
    ran = 0
    for block in re.findall(r"(?ms)^```console\n(.*?)^```", page):
        for command, _, told in (each.partition("\n") for each in re.split(r"(?m)^\$ ", block)[1:]):
            denied = 4 if "may not do this" in told else 0
            said = person.serve(command) if command == "sluice serve" else person.type(command, denied)
            shown = {steady(line, str(person.home)) for line in said.splitlines()}
            missing = [line for line in told.splitlines() if steady(line) not in shown | {""}]
            assert missing == [], f"{command!r} shows: {sorted(shown)}"
            ran += 1
    assert ran > 12
