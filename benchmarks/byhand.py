"""The rival: a Starlette handler written by hand, with the same checks and the same query, on the same server.

python -m benchmarks.byhand HOME PORT
"""

from __future__ import annotations

import sqlite3
import sys
from functools import partial
from pathlib import Path

import orjson
import uvloop
from granian.constants import Interfaces, SSLProtocols
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from sluicegate.crypto.dpop import ProofCheck
from sluicegate.crypto.keys import load_key_file
from sluicegate.guard.keyring import Keyring
from sluicegate.guard.revocation import Revocation
from sluicegate.guard.tokens import ACCESS, Tokens
from sluicegate.store.database import Database
from sluicegate.store.scope import System

SQL = """
SELECT d.name, d.version, d.digest, d.author, d.created, r.id, r.state, r.created
FROM latest l JOIN definitions d USING (tenant_id, kind, name, version)
LEFT JOIN runs r ON r.tenant_id = d.tenant_id AND r.flow = d.name
  AND r.id = (SELECT max(id) FROM runs WHERE tenant_id = d.tenant_id AND flow = d.name)
WHERE l.tenant_id = ? AND l.kind = 'flow' ORDER BY d.name
"""
KEYS = ("name", "version", "digest", "author", "created")


def build(home: Path) -> Starlette:
    """Return the app."""
    system = System(Database(f"sqlite:///{home / 'store.db'}"))
    root = Keyring(load_key_file(home / "root.key"), system).main
    revocation = Revocation(system)
    revocation.open()
    tokens, proofs = Tokens(root, 300, system, revocation), ProofCheck()
    store = sqlite3.connect(home / "store.db", check_same_thread=False)

    def query(tenant: str) -> bytes:
        rows = store.execute(SQL, (tenant,)).fetchall()
        items = [
            dict(zip(KEYS, row, strict=False))
            | {"last_run": {"id": row[5], "state": row[6], "created": row[7]} if row[5] else None}
            for row in rows
        ]
        return orjson.dumps({"items": items})

    async def flows(request):
        token = request.headers.get("authorization", "").removeprefix("DPoP ")
        claims = tokens.verify(ACCESS, token)
        url = f"https://{request.headers['host']}{request.url.path}"
        if proofs.verify(request.headers.get("dpop", ""), "GET", url, token) != claims.cnf["jkt"]:
            return Response(status_code=401)
        if claims.role not in ("superadmin", "administrator", "editor", "operator", "viewer"):
            return Response(status_code=403)
        return Response(await run_in_threadpool(query, claims.tid), media_type="application/json")

    return Starlette(routes=[Route("/api/v1/flows", flows)])


async def main(home: Path, port: int) -> None:
    """Serve until killed."""
    tls = home / "tls"
    server = partial(Server, interface=Interfaces.ASGINL, log_enabled=False, ssl_protocol_min=SSLProtocols.tls13)
    await server(
        build(home), address="127.0.0.1", port=port, ssl_cert=tls / "server.pem", ssl_key=tls / "server-key.pem"
    ).serve()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
