import { describe, expect, it } from "vitest";
import { boundsOf, choicesOf, fieldOf, meaningOf, policyOf, type Setting, wordsOf } from "./policy";

const setting = (name: string, installation: Setting["value"], more: Partial<Setting> = {}): Setting => ({
  name,
  value: installation,
  installation,
  origin: "installation",
  may: "stricter",
  ...more,
});

describe("a policy", () => {
  it("sends only what the tenant sets itself, as the type it has", () => {
    const settings = [
      setting("factor_required", false),
      setting("password_length", 15),
      setting("addresses", []),
      setting("requests", "500/second"),
      setting("key_days", 365),
      setting("key_proof", true, { may: "fixed" }),
    ];
    const fields = {
      factor_required: "yes",
      password_length: " 18 ",
      addresses: "192.0.2.0/24\n10.0.0.1",
      requests: "",
      key_proof: "no",
    };
    expect(policyOf(settings, fields)).toEqual({
      factor_required: true,
      password_length: 18,
      addresses: ["192.0.2.0/24", "10.0.0.1"],
    });
  });

  it("offers nothing laxer than the installation, unless it is free", () => {
    expect(boundsOf(setting("password_length", 20))).toEqual({ min: 20, max: 64 });
    expect(boundsOf(setting("key_days", 90))).toEqual({ min: 1, max: 90 });
    expect(boundsOf(setting("key_days", 90, { may: "free" }))).toEqual({ min: 1, max: 3650 });
    const values = (one: Setting) => choicesOf(one).map(({ value }) => value);
    expect(values(setting("key_proof", false))).toEqual(["", "yes"]);
    expect(values(setting("key_proof", true))).toEqual([""]);
    expect(values(setting("key_proof", true, { may: "free" }))).toEqual(["", "yes", "no"]);
  });

  it("shows the tenant's own values in the fields, and nothing where the installation's hold", () => {
    expect(fieldOf(setting("key_days", 90))).toBe("");
    expect(fieldOf(setting("key_days", 90, { value: 30, origin: "tenant" }))).toBe("30");
    expect(fieldOf(setting("key_proof", true, { value: false, origin: "tenant" }))).toBe("no");
    expect(fieldOf(setting("addresses", [], { value: ["10.0.0.0/8", "::1/128"], origin: "tenant" }))).toBe(
      "10.0.0.0/8\n::1/128",
    );
    expect([wordsOf(true), wordsOf([], "addresses"), wordsOf(["a"]), wordsOf(3)]).toEqual([
      "yes",
      "anywhere",
      "a",
      "3",
    ]);
  });

  it("says what an empty list means", () => {
    expect([wordsOf([], "seals"), wordsOf([], "residency"), wordsOf([], "new_list")]).toEqual([
      "any",
      "anywhere",
      "nothing",
    ]);
  });

  it("names a setting that it does not know", () => {
    expect(meaningOf("new_setting")).toEqual({ title: "new setting", note: "" });
  });
});
