import { describe, expect, it } from "vitest";
import type { RunEvent } from "./api";
import { EMPTY, ended, fold, LOG_MAX } from "./live";
import { stepTypes, totals } from "./steps";

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const moved = (seq: number, second: number, steps: Record<string, number>): RunEvent => ({
  seq,
  at: at(second),
  kind: "progress",
  body: {
    steps: Object.fromEntries(
      Object.entries(steps).map(([name, rows]) => [name, { rows, bytes: rows * 10, total_bytes: null, rejected: 0 }]),
    ),
    percent: null,
    rate: null,
  },
});
const said = (seq: number, message: string): RunEvent => ({
  seq,
  at: at(seq),
  kind: "log",
  body: { message, level: "info" },
});

describe("fold", () => {
  it("passes over events that came before, so that a repeated answer changes nothing", () => {
    const once = fold(EMPTY, [said(1, "a"), said(2, "b")]);
    const twice = fold(once, [said(1, "a"), said(2, "b"), said(3, "c")]);
    expect(twice.log.map((line) => line.text)).toEqual(["a", "b", "c"]);
    expect(twice.seq).toBe(3);
  });

  it("measures each step's rate between reports", () => {
    const live = fold(EMPTY, [moved(1, 0, { rows: 0 }), moved(2, 2, { rows: 500 })]);
    expect(live.rates).toEqual({ rows: 250 });
    expect(live.progress?.steps.rows?.rows).toBe(500);
  });

  it("keeps what earlier segments moved, and gives them no rate", () => {
    const live = fold(EMPTY, [moved(1, 0, { a: 0 }), moved(2, 1, { a: 100 }), moved(3, 2, { b: 10 })]);
    expect(Object.keys(live.progress?.steps ?? {})).toEqual(["a", "b"]);
    expect(live.rates).toEqual({ b: 10 });
  });

  it("lets the oldest lines go, and says how many", () => {
    const live = fold(
      EMPTY,
      Array.from({ length: LOG_MAX + 7 }, (_, index) => said(index + 1, `line ${index + 1}`)),
    );
    expect(live.log).toHaveLength(LOG_MAX);
    expect(live.log[0]?.text).toBe("line 8");
    expect(live.dropped).toBe(7);
  });

  it("turns states and rejects into lines too", () => {
    const live = fold(EMPTY, [
      { seq: 1, at: at(1), kind: "reject", body: { step: "valid", line: 8, column: "x", reason: "is empty" } },
      { seq: 2, at: at(2), kind: "schema", body: { step: "rows", columns: { a: "int64", b: "text" } } },
      { seq: 3, at: at(3), kind: "state", body: { state: "failed" } },
      {
        seq: 4,
        at: at(4),
        kind: "receipt",
        body: { step: "write-3", rows: 1234, bytes: 2500, sha256: null, guarantee: "exactly-once", repeated: false },
      },
      {
        seq: 5,
        at: at(5),
        kind: "receipt",
        body: { rows: 2, bytes: null, guarantee: "at-least-once", repeated: true },
      },
    ]);
    expect(live.log.map((line) => `${line.level}|${line.step}|${line.text}`)).toEqual([
      "reject|valid|line=8 column=x  is empty",
      "schema|rows|a int64, b text",
      "state||failed",
      "landed|write-3|1,234 rows, 2.50 kB, exactly-once",
      "landed||2 rows, at-least-once, was there already, not loaded twice",
    ]);
    expect(ended(live.state)).toBe(true);
    expect(ended("running")).toBe(false);
  });
});

describe("totals", () => {
  const types = stepTypes({ steps: [{ read: { name: "a" } }, { check: { name: "ok" } }, { write: { from: "ok" } }] });

  it("names steps as the server does", () => {
    expect([...types]).toEqual([
      ["a", "read"],
      ["ok", "check"],
      ["write-3", "write"],
    ]);
  });

  it("adds up what was read, written and rejected", () => {
    const step = (rows: number, rejected = 0) => ({ rows, bytes: rows, total_bytes: null, rejected });
    expect(totals({ a: step(10), ok: step(10, 2), "write-3": step(8) }, types)).toEqual({
      read: 10,
      bytes: 10,
      rejected: 2,
      written: 8,
    });
    expect(totals({ a: step(10) }, types).written).toBeUndefined();
  });
});
