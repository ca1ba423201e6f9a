from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sluicegate import __version__
from sluicegate.base import errors
from sluicegate.cli import main as module

HEAVY = ("pyarrow", "duckdb", "sqlalchemy", "dbos", "psycopg", "httpx", "cryptography", "granian", "sqlglot")


def child(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_version_is_told_at_once(tmp_path):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    best = 9.0
    for _ in range(5):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "sluicegate", "version"], capture_output=True, text=True, env=environment, check=True
        )
        best = min(best, time.perf_counter() - began)
        assert done.stdout == f"sluice {__version__}\n"
    assert best < 0.15


@pytest.mark.parametrize("words", [["version"], ["version", "--json"], ["--help"], ["whoami"], ["tenant", "list"]])
def test_nothing_heavy_is_loaded(words, tmp_path):
    done = child(
        f"import sys\nfrom sluicegate.cli.main import main\ntry:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)",
        SLUICE_HOME=str(tmp_path),
    )
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


def test_json_tells_the_version_too(call):
    assert call("version", "--json").json == {"version": __version__}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.Failed("no"), 1), (errors.Usage("no"), 2), (errors.Invalid("no"), 2), (errors.Denied("no"), 4),
        (errors.Unauthenticated(), 4), (errors.Cancelled("no"), 130), (errors.Missing("no"), 1), (KeyboardInterrupt(), 130),
        (ZeroDivisionError("canary"), 1),
    ],
)  # fmt: skip
def test_each_error_has_its_exit_code_and_one_sentence(call, monkeypatch, fault, code):
    def fail(_given):
        raise fault

    monkeypatch.setattr(module, "_dispatch", fail)
    told = call("whoami")
    assert told.code == code
    assert told.err.startswith("sluice: ")
    assert told.out == ""
    assert "canary" not in told.err


def test_a_whole_error_is_place_sentence_and_hint(call, monkeypatch):
    def fail(_given):
        raise errors.Failed("it broke", where="line 3", hint="Mend it.")

    monkeypatch.setattr(module, "_dispatch", fail)
    assert call("x").err == "sluice: line 3: it broke\n        Mend it.\n"
    told = call("x", "--json")
    assert told.json == {"error": errors.Failed("it broke", where="line 3", hint="Mend it.").problem()}
    assert told.err == ""


@pytest.mark.security
def test_what_is_told_cannot_drive_the_terminal(call, monkeypatch):
    evil = "a\x1b[2Jb\x9b31mc\rd\x07\u202e\x00"

    def fail(_given):
        raise errors.Failed(evil, where=evil, hint=evil)

    monkeypatch.setattr(module, "_dispatch", fail)
    told = call("x")
    assert all(letter.isprintable() or letter == "\n" for letter in told.err)
    assert all(letter.isprintable() or letter == "\n" for letter in call("x", "--json").out)


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [(errors.Usage("wrong use"), 2, "wrong use"), (errors.Denied("not you"), 4, "not you"),
     (ZeroDivisionError("canary"), 1, "something unexpected happened (ZeroDivisionError)")],
)  # fmt: skip
@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_debug_adds_the_trace_and_changes_nothing_else(monkeypatch, capsys, fault, code, says, json_):
    def fail(_given):
        raise fault

    monkeypatch.setattr(module, "_dispatch", fail)
    with pytest.raises(SystemExit) as ended:
        module.main(["x", "--debug", *json_])
    told = capsys.readouterr()
    assert ended.value.code == code
    assert "Traceback" in told.err
    assert "in fail" in told.err
    assert says in (json.loads(told.out)["error"]["title"] if json_ else told.err.splitlines()[-1])


def test_debug_keeps_the_code_of_wrong_use(monkeypatch):
    with pytest.raises(SystemExit) as ended:
        module.main(["--debug", "run"])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "words", [["--nothing-like-it"], ["login", "--nothing"], ["run"], ["get", "castle"], ["secret"]]
)
def test_wrong_use_is_two(call, words):
    told = call(*words)
    assert told.code == 2
    assert told.out + told.err
    if words[-1] != "secret":
        assert call(*words, "--json").json["error"]["code"] == "usage"


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@pytest.mark.parametrize(
    "words",
    [
        ["secret", "set", "pw", "canary-hunter2"],
        ["secret", "set", "pw", "--value-file", "canary-hunter2"],
        ["secret", "set", "pw", "--value-file", "canary\0hunter2"],
        ["login", "canary-hunter2"],
        ["login", "--email", "a@example.org", "--password-file", "canary-hunter2"],
        ["run", "--local", "flow.yaml", "f", "--secret", "canary-hunter2"],
        ["run", "f", "-p", "canary-hunter2"],
        ["version", "canary-hunter2"],
    ],
)
@pytest.mark.parametrize("json_", [(), ("--json",)])
def test_a_secret_in_the_wrong_place_is_not_repeated(call, words, json_):
    told = call(*words, *json_)
    assert told.code == 2
    assert "canary" not in told.out + told.err
    assert told.out + told.err


@pytest.mark.parametrize("name", ["flow.yaml", "examples/flow", "./flow.json"])
def test_who_forgets_local_is_told(call, name):
    told = call("run", name)
    assert (told.code, told.err.splitlines()[0]) == (2, "sluice: this is the name of a file, not of a flow")
    assert "--local FILE" in told.err


@pytest.mark.parametrize(
    "words", [("init",), ("serve", "--port", "99999"), ("serve", "--port", "-1"), ("serve", "--host", "")]
)
def test_a_place_that_does_not_do_is_named(call, tmp_path, words):
    (tmp_path / "home").write_text("a file")
    told = call(*words)
    assert told.code == (1 if words == ("init",) else 2)
    assert "unexpected" not in told.err
    if words == ("init",):
        assert told.err == f"sluice: {tmp_path / 'home'}: File exists\n"


def test_an_error_of_the_system_says_what_and_where(call, monkeypatch):
    def fail(_given):
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x")

    monkeypatch.setattr(module, "_dispatch", fail)
    assert call("x").err == "sluice: /data/x: No space left on device\n"
    assert call("x", "--json").json["error"]["code"] == "no_space"


def test_what_nobody_expected_is_json_too(call, monkeypatch):
    def fail(_given):
        raise ZeroDivisionError("canary")

    monkeypatch.setattr(module, "_dispatch", fail)
    told = call("x", "--json")
    assert "ZeroDivisionError" in told.json["error"]["title"]
    assert "canary" not in told.out + told.err


def test_a_reader_that_leaves_early_is_no_accident(tmp_path):
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SLUICE_HOME": str(tmp_path),
    }  # fmt: skip
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "sluicegate", "settings"], stdout=writer, stderr=subprocess.PIPE, text=True, env=environment,
        check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


@pytest.mark.slow
def test_ctrl_c_ends_a_local_run_and_leaves_nothing(tmp_path):
    (tmp_path / "in.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(2_000_000)))
    (tmp_path / "flow.yaml").write_text(
        "kind: connection\nname: here\ntype: files\nroot: .\n---\nkind: flow\nname: f\nsteps:\n"
        "  - read: { name: rows, connection: here, item: in.csv }\n"
        '  - map: { name: m, from: rows, columns: { id: "sha256(cast(id as varchar))" } }\n'
        "  - write: { from: m, connection: here, item: out.parquet }\n"
    )
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SLUICE_HOME": str(tmp_path),
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "sluicegate", "run", "--local", str(tmp_path / "flow.yaml"), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as running:  # fmt: skip
        time.sleep(1.5)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, out + err
    assert json.loads(out)["state"] == "cancelled"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["flow.yaml", "in.csv"]
