import { describe, expect, it } from "vitest";
import { ago, bytes, count, elapsed, inline, NONE, rate, span, until } from "./format";

describe("numbers", () => {
  it("groups counts and never shows a missing one as zero", () => {
    expect(count(1_234_567)).toBe("1,234,567");
    expect(count(0)).toBe("0");
    expect([count(undefined), count(null), bytes(null), rate(undefined)]).toEqual([NONE, NONE, NONE, NONE]);
  });

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [1536, "1.54 kB"],
    [99_960, "100 kB"],
    [999_499, "999 kB"],
    [999_500, "1.00 MB"],
    [8_196_004, "8.20 MB"],
    [12_345_678_901_234_000, "12.3 PB"],
  ])("shows %d bytes as %s", (value, text) => {
    expect(bytes(value)).toBe(text);
  });

  it("rounds rates and refuses the infinite", () => {
    expect(rate(12_345.6)).toBe("12,346 rows/s");
    expect(rate(Number.POSITIVE_INFINITY)).toBe(NONE);
  });
});

describe("times", () => {
  it.each([
    [0, "0 ms"],
    [840, "840 ms"],
    [12_440, "12.4 s"],
    [59_960, "1 min 00 s"],
    [185_000, "3 min 05 s"],
    [3_599_600, "1 h 00 min"],
    [7_620_000, "2 h 07 min"],
    [-5, "0 ms"],
  ])("shows %d ms as %s", (value, text) => {
    expect(span(value)).toBe(text);
  });

  it("counts up to now while a run goes on, and to its end afterwards", () => {
    const began = "2026-01-01T00:00:00.000Z";
    const now = Date.parse("2026-01-01T00:00:10.000Z");
    expect(elapsed(began, null, now)).toBe("10.0 s");
    expect(elapsed(began, "2026-01-01T00:00:02.000Z", now)).toBe("2.0 s");
    expect(elapsed(null, null, now)).toBe(NONE);
  });

  it("says how long ago in the coarsest true unit", () => {
    const now = Date.parse("2026-01-02T00:00:00Z");
    expect(ago("2026-01-01T23:59:30Z", now)).toBe("just now");
    expect(ago("2026-01-01T23:56:00Z", now)).toBe("4 min ago");
    expect(ago("2026-01-01T21:00:00Z", now)).toBe("3 h ago");
    expect(ago("2025-06-15T12:00:00Z", now)).toBe("2025-06-15");
  });
});

it("shows any value on one line", () => {
  expect([inline("a"), inline({ a: [1] }), inline(null), inline(false)]).toEqual(["a", '{"a":[1]}', NONE, "false"]);
});

describe("what is ahead", () => {
  const now = Date.parse("2026-11-23T12:00:00Z");
  it.each([
    ["2026-11-23T12:00:20Z", "in 1 min"],
    ["2026-11-23T12:50:00Z", "in 50 min"],
    ["2026-11-23T15:00:00Z", "in 3 h"],
    ["2026-11-24T13:00:00Z", "in 1 day"],
    ["2026-12-22T12:00:00Z", "in 29 days"],
    ["2026-11-23T11:00:00Z", "1 h ago"],
  ])("%s is %s", (iso, words) => {
    expect(until(iso, now)).toBe(words);
  });

  it("is a date when it is far, and a dash when there is none", () => {
    expect(until("2027-11-23T12:00:00Z", now)).toBe("2027-11-23");
    expect(until(null, now)).toBe(NONE);
  });
});
