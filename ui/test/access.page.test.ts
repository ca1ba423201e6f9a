/** Every page can be read by everybody: axe, both schemes, narrow screens. */
import { describe, expect, it } from "vitest";
import { faults, go, heading, open, page, sign, stub } from "./browser.js";

describe.each(["light", "dark"] as const)("every page in the %s scheme", (colorScheme) => {
  it("has nothing that axe finds fault with", async () => {
    await open({}, { colorScheme });
    await heading("Sign in");
    expect(await faults()).toEqual([]);
    await sign();
    await heading("Flows");
    for (const room of ["Flows", "Runs", "Connections", "Recipients", "Secrets", "Users", "Audit trail"]) {
      await go(room);
      await page.locator(".grid, .empty").first().waitFor();
      expect(await faults(), room).toEqual([]);
    }
    await page.goto(`${stub.url}/flows/flights-to-warehouse`);
    await page.locator(".cm-content").waitFor();
    expect(await faults(), "flow").toEqual([]);
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByRole("dialog").waitFor();
    expect(await faults(), "run form").toEqual([]);
    await page.getByRole("button", { name: "Start run" }).click();
    await page.getByRole("heading", { name: "What landed" }).waitFor();
    expect(await faults(), "run").toEqual([]);
  });

  it("fits a narrow screen without scrolling sideways", async () => {
    await open({}, { colorScheme });
    await page.setViewportSize({ width: 390, height: 800 });
    await sign();
    await heading("Flows");
    for (const room of ["Runs", "Users", "Audit trail"]) {
      await go(room);
      await page.locator(".grid").waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), room).toBeLessThanOrEqual(390);
    }
  });
});
