import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { GRANTS, PERMISSION_NOTES, rolesOfServices, scopesOf } from "./roles";

/** The table that `tools/docs.py` writes from the server's policy. */
function table(): Record<string, string[]> {
  const text = readFileSync(new URL("../../docs/security/model.md", import.meta.url), "utf8");
  const rows = text.slice(text.indexOf("<!-- begin roles"), text.indexOf("<!-- end roles")).match(/^\|.*\|$/gm) ?? [];
  const cells = rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((each) => each.trim().replaceAll("`", "")),
  );
  const [head = [], , ...body] = cells;
  return Object.fromEntries(
    head.slice(1).map((role, at) => [role, body.filter((row) => row[at + 1] === "yes").map((row) => row[0] ?? "")]),
  );
}

describe("roles", () => {
  it("grant what the server's table says", () => {
    const told = table();
    expect(Object.keys(told)).toHaveLength(6);
    for (const [role, granted] of Object.entries(GRANTS)) expect([...granted].sort(), role).toEqual(told[role]);
  });

  it("a service user stands below its maker", () => {
    expect(rolesOfServices("administrator")).toEqual(["editor", "operator", "viewer", "api_user"]);
    expect(rolesOfServices("superadmin")[0]).toBe("administrator");
  });

  it("a key has no more than its owner and its maker both have", () => {
    const root = Object.keys(PERMISSION_NOTES).filter(
      (each) => each !== "data:read",
    ) as (keyof typeof PERMISSION_NOTES)[];
    expect(scopesOf("operator", root)).not.toContain("data:read");
    expect(scopesOf("operator", root)).not.toContain("secret:write");
    expect(scopesOf("superadmin", root)).toEqual([]);
  });
});
