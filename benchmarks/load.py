"""A small load generator in a process of its own: N keep-alive TLS connections, each asking again when answered.

python -m benchmarks.load HOST PORT PATH TOKEN CA CONNECTIONS SECONDS
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time


async def ask(host: str, port: int, raw: bytes, context: ssl.SSLContext, until: float, taken: list[float]) -> None:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(raw)
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
    host, port, path, token, ca, connections, seconds = sys.argv[1:]
    context = ssl.create_default_context(cafile=ca)
    raw = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    taken: list[float] = []
    began = time.perf_counter()
    until = began + float(seconds)
    await asyncio.gather(*(ask(host, int(port), raw, context, until, taken) for _ in range(int(connections))))
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
