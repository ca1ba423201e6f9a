import { describe, expect, it } from "vitest";
import { faultOf, type Param, readParams, toValues } from "./params";

const param = (type: Param["type"], fallback?: string): Param => ({ name: "p", type, fallback, description: "" });

describe("readParams", () => {
  it("keeps the order, the defaults and the type text where none is said", () => {
    const found = readParams({
      params: { day: { type: "date", default: "2013-01-01" }, note: {}, full: { type: "bool", default: false } },
    });
    expect(found.map((each) => [each.name, each.type, each.fallback])).toEqual([
      ["day", "date", "2013-01-01"],
      ["note", "text", undefined],
      ["full", "bool", "false"],
    ]);
  });

  it("finds none in a flow without any", () => {
    expect([readParams({}), readParams({ params: null })]).toEqual([[], []]);
  });
});

describe("toValues", () => {
  it("does not send what was left as its default", () => {
    expect(toValues([param("date", "2013-01-01")], { p: "2013-01-01" })).toEqual({});
    expect(toValues([param("int64", "5")], { p: "" })).toEqual({});
  });

  it("sends each type so that nothing is lost on the way", () => {
    expect(toValues([param("int64")], { p: " 42 " })).toEqual({ p: 42 });
    expect(toValues([param("int64")], { p: "9223372036854775807" })).toEqual({ p: "9223372036854775807" });
    expect(toValues([param("decimal")], { p: "0.10" })).toEqual({ p: "0.10" });
    expect(toValues([param("float64")], { p: "1e3" })).toEqual({ p: 1000 });
    expect(toValues([param("bool", "true")], { p: "false" })).toEqual({ p: false });
    expect(toValues([param("text", "x")], { p: "" })).toEqual({ p: "" });
    expect(toValues([param("text")], { p: " 007 " })).toEqual({ p: " 007 " });
  });
});

describe("faultOf", () => {
  it.each([
    ["int64", "1.5"],
    ["int64", ""],
    ["decimal", "1,5"],
    ["float64", "many"],
    ["date", "13-1-1"],
  ] as const)("finds fault with %s %j", (type, text) => {
    expect(faultOf(param(type), text)).not.toBe("");
  });

  it("accepts what fits, and an empty field that has a default", () => {
    expect(faultOf(param("int64"), "-12")).toBe("");
    expect(faultOf(param("decimal"), ".5")).toBe("");
    expect(faultOf(param("date", "2013-01-01"), "")).toBe("");
  });
});
