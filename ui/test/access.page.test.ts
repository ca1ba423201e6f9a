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
    for (const room of ["Flows", "Runs", "Connections", "Recipients", "Secrets", "Users", "API keys", "Audit trail"]) {
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

  it("has nothing that axe finds fault with where people and keys are managed", async () => {
    await open({}, { colorScheme });
    await sign();
    await heading("Flows");
    await go("API keys");
    await page.getByRole("checkbox", { name: "Also those that have ended" }).check();
    await page.getByText("revoked").waitFor();
    expect(await faults(), "ended keys").toEqual([]);
    await page.getByRole("button", { name: "New key" }).click();
    await page.getByLabel("Name").fill("one");
    await page.getByRole("button", { name: "Create key" }).click();
    await page.getByText("Choose at least one.").waitFor();
    expect(await faults(), "key form").toEqual([]);
    await page.getByRole("checkbox", { name: "run:read" }).check();
    await page.getByRole("button", { name: "Create key" }).click();
    await page.getByText("It is shown only now").waitFor();
    expect(await faults(), "key").toEqual([]);
    await page.getByRole("button", { name: "I have it" }).click();
    await go("Users");
    await page.getByRole("link", { name: "Ed Fenn" }).click();
    await heading("Ed Fenn");
    expect(await faults(), "user").toEqual([]);
    await page.getByRole("link", { name: "Your account" }).click();
    await heading("Your account");
    expect(await faults(), "account").toEqual([]);
    await page.getByRole("button", { name: "Add an app" }).click();
    await page.getByRole("button", { name: "Begin" }).click();
    await page.locator(".qr").waitFor();
    expect(await faults(), "second factor").toEqual([]);
    await page.getByLabel("Code").fill("123456");
    await page.getByRole("button", { name: "Confirm" }).click();
    await page.locator(".codes").waitFor();
    expect(await faults(), "codes").toEqual([]);
  });

  it("fits a narrow screen without scrolling sideways", async () => {
    await open({}, { colorScheme });
    await page.setViewportSize({ width: 390, height: 800 });
    await sign();
    await heading("Flows");
    for (const room of ["Runs", "Users", "API keys", "Audit trail"]) {
      await go(room);
      await page.locator(".grid").waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), room).toBeLessThanOrEqual(390);
    }
  });
});
