"""A small load generator in a process of its own: N keep-alive TLS connections, each asking again when answered.

python -m benchmarks.load HOST PORT PATH TOKEN KEY CA CONNECTIONS SECONDS

``KEY`` is the file of the client's key: each request goes with a proof of its own, and all of them are made beforehand.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sluicegate.crypto.dpop import ProofKey

RATE_MAX = 4000
"""Requests a second that proofs are made for."""


async def ask(
    host: str, port: int, raws: Iterator[bytes], context: ssl.SSLContext, until: float, taken: list[float]
) -> None:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(next(raws))
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:20]:
            raise SystemExit(head.decode())
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        await reader.readexactly(length)
        taken.append(time.perf_counter() - began)
    writer.close()


async def main() -> None:
    host, port, path, token, key, ca, connections, seconds = sys.argv[1:]
    context = ssl.create_default_context(cafile=ca)
    client, url = ProofKey.load(Path(key)), f"https://{host}:{port}{path}"
    head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: DPoP {token}\r\nDPoP: "
    count = int(RATE_MAX * float(seconds))
    raws = iter([f"{head}{client.prove('GET', url, token)}\r\n\r\n".encode() for _ in range(count)])
    taken: list[float] = []
    began = time.perf_counter()
    until = began + float(seconds)
    await asyncio.gather(*(ask(host, int(port), raws, context, until, taken) for _ in range(int(connections))))
    spent = time.perf_counter() - began
    taken.sort()
    print(
        json.dumps(
            {
                "rate": len(taken) / spent,
                "p50": taken[len(taken) // 2] * 1000,
                "p99": taken[int(len(taken) * 0.99)] * 1000,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
