/** Flows: written, checked, saved, and taken back. */
import { describe, expect, it } from "vitest";
import { faults, go, open, page, sign, stub } from "./browser.js";

describe("flows", () => {
  const edit = async () => {
    await open();
    await page.goto(`${stub.url}/flows/flights-to-warehouse`);
    await sign();
    await page.locator(".cm-line", { hasText: "kind: flow" }).click();
    await page.keyboard.press("Control+Home");
  };

  it("are saved as a new version", async () => {
    await edit();
    await page.keyboard.type("# looked over\n");
    await page.getByText("unsaved changes").waitFor();
    await page.keyboard.press("Control+s");
    await page.getByText("Saved flow flights-to-warehouse as version 5.").waitFor();
    await page.getByRole("button", { name: "Show version 5" }).waitFor();
    expect(stub.state.shelves.flow.get("flights-to-warehouse")?.at(-1)?.source).toMatch(/^# looked over\nkind: flow/);
  });

  it("show what is wrong, where, and mark the line", async () => {
    await edit();
    await page.locator(".cm-line", { hasText: "check:" }).getByText("between").click({ clickCount: 2 });
    await page.keyboard.type("betwen");
    await page.getByRole("button", { name: "Check without saving" }).click();
    const alert = page.getByRole("alert");
    await alert.getByText("step valid: rules[0].betwen: unknown key").waitFor();
    await alert.getByText("line 16 is marked").waitFor();
    await page.locator(".cm-lint-marker-error").waitFor();
    expect(await faults()).toEqual([]);
  });

  it("keep an unsaved text while the person looks elsewhere", async () => {
    await edit();
    await page.keyboard.type("# half a thought\n");
    await go("Runs");
    await go("Flows");
    await page.getByRole("link", { name: "flights-to-warehouse" }).first().click();
    await page.locator(".cm-line", { hasText: "half a thought" }).waitFor();
  });

  it("can go back to an older version", async () => {
    await edit();
    await page.getByRole("button", { name: "Show version 1" }).click();
    await page.getByText("This is version 1. Version 4 is in force.").waitFor();
    await page.getByRole("button", { name: "Edit from this version" }).click();
    await page.locator(".cm-line", { hasText: "between: [-10, 600]" }).waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("as version 5").waitFor();
  });
});
