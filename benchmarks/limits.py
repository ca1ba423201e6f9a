"""What is promised, by name of the measurement."""

LIMITS: dict[str, tuple[str, float]] = {
    "version: seconds": ("<=", 0.15),
    "run --local, trivial: seconds": ("<=", 0.8),
    "run --local, with a map in the jail: seconds": ("<=", 0.8),
    "serve: seconds until ready": ("<=", 3.0),
    "serve: idle memory, MB (PSS, all processes)": ("<=", 200),
    "flights: rows/s on a server": (">=", 100_000),
    "flights: peak memory, MB": ("<=", 350),
    "no-op run through the API: p50 ms": ("<=", 150),
    "demo, installed and fetched: seconds": ("<=", 20),
    "GET /flows: requests/s": (">=", 600),
    "GET /flows: p99 ms": ("<=", 60),
    "GET /flows: ratio to a hand-written handler": (">=", 0.7),
    "vault, in memory: rewraps/s": (">=", 100_000),
    "vault, with the store: rewraps/s": (">=", 5_000),
    "200 sign-ins at once: more memory, MB (PSS)": ("<=", 192),
    "200 sign-ins at once: others' p99, ms": ("<=", 250),
    "sealing a CSV flow (zstd): ratio of times": ("<=", 1.15),
    "sealing a Parquet flow: ratio of times": ("<=", 1.15),
    "zstd and seal on one core: MB/s": (">=", 180),
}
