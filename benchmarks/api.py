"""The server: ready, idle, reads, runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sluicegate.crypto.dpop import ProofKey
from sluicegate.engine.meter import memory
from sluicegate.kit.net import HttpsClient, free_port
from tests.fixtures.home import Served, sluice

ROOT = Path(__file__).parents[1]
ROUNDS, SECONDS, CONNECTIONS = 3, 4, 16


def load(served: Served, port: str | int, token: str) -> dict[str, float]:
    key = served.editor / "client.key"
    words = ["localhost", str(port), "/api/v1/flows", token, str(key), str(served.ca), str(CONNECTIONS), str(SECONDS)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return json.loads(done.stdout)


def token(served: Served) -> str:
    sluice(served.editor, "whoami")  # refreshes when it is nearly over
    return json.loads((served.editor / "login.json").read_text())["access"]


def reads(served: Served) -> dict[str, float]:
    port = free_port()
    rival = subprocess.Popen([sys.executable, "-m", "benchmarks.byhand", str(served.home), str(port)], cwd=ROOT)
    try:
        time.sleep(2)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(load(served, served.port, token(served)))
            theirs.append(load(served, port, token(served)))
    finally:
        rival.terminate()
        rival.wait()
    ratios = sorted(mine["rate"] / other["rate"] for mine, other in zip(ours, theirs, strict=True))
    middle = sorted(ours, key=lambda each: each["rate"])[ROUNDS // 2]
    return {
        "GET /flows: requests/s": middle["rate"],
        "GET /flows: p99 ms": middle["p99"],
        "GET /flows: ratio to a hand-written handler": ratios[ROUNDS // 2],
    }


def runs(served: Served) -> float:
    client, key, held = HttpsClient(served.url, served.ca), ProofKey.load(served.editor / "client.key"), token(served)

    def ask(method: str, path: str, body: bytes | None = None) -> dict:
        proof = key.prove(method, served.url + path, held)
        headers = {"authorization": f"DPoP {held}", "dpop": proof, "content-type": "application/json"}
        return json.loads(client.request(method, path, body, headers).body)

    taken = []
    for _ in range(40):
        began = time.perf_counter()
        run = ask("POST", "/api/v1/flows/nothing/runs", b"{}")["id"]
        after = 0
        while True:
            found = ask("GET", f"/api/v1/runs/{run}/events?after={after}&wait=5")
            after = max([after, *(each["seq"] for each in found["items"])])
            if found["done"]:
                break
        taken.append(time.perf_counter() - began)
    return sorted(taken)[len(taken) // 2] * 1000


def flights(served: Served, me: dict) -> dict[str, float]:
    sys.path.insert(0, str(ROOT / "examples" / "flights"))
    import demo

    data = served.data(me)
    shutil.rmtree(data)
    demo.prepare(data)
    recipient = sluice(served.editor, "archive", "keygen", str(served.folder / "dpo.age"))["recipient"]
    (served.folder / "dpo.yaml").write_text(f"kind: recipient\nname: dpo\nrecipient: {recipient}\n")
    sluice(served.editor, "apply", str(ROOT / "examples" / "flights"), str(served.folder / "dpo.yaml"))
    rates, peaks = [], []
    for _ in range(ROUNDS):
        (data / "warehouse.db").unlink(missing_ok=True)
        counts = sluice(served.editor, "run", demo.FLOW, "--wait", expect=3)["counts"]
        rates.append((counts["read"] - 16) / counts["seconds"])
        peaks.append(counts["peak"] / 1e6)
    return {"flights: rows/s on a server": sorted(rates)[ROUNDS // 2], "flights: peak memory, MB": max(peaks)}


def measure() -> dict[str, float]:
    """Return the measurements."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        served = Served(Path(folder))
        served.start()
        me = served.settle()
        served.stop()
        ready = served.start()
        try:
            time.sleep(3)
            idle = memory(served.child.pid) / 1e6
            flow = (
                "---\n".join(f"kind: flow\nname: flow-{n}\nsteps: []\n" for n in range(19))
                + "---\nkind: flow\nname: nothing\nsteps: []\n"
            )
            (served.folder / "flows.yaml").write_text(flow)
            sluice(served.editor, "apply", str(served.folder / "flows.yaml"))
            found = {"serve: seconds until ready": ready, "serve: idle memory, MB (PSS, all processes)": idle}
            found["no-op run through the API: p50 ms"] = runs(served)
            found |= reads(served)
            return found | flights(served, me)
        finally:
            served.stop()
            served.close()
