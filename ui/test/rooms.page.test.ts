/** What each role sees, secrets, and people. */
import { describe, expect, it } from "vitest";
import { go, heading, main, open, page, sign, stub } from "./browser.js";

describe("roles", () => {
  it.each([
    ["viewer", "vi@example.org", ["Flows", "Runs", "API keys"]],
    ["operator", "oz@example.org", ["Flows", "Runs", "Connections", "Recipients", "Secrets", "API keys"]],
    ["editor", "ed@example.org", ["Flows", "Runs", "Connections", "Recipients", "Secrets", "API keys"]],
  ])("a %s sees what the role may do", async (_role, email, rooms) => {
    await open();
    await sign(email);
    await heading("Flows");
    expect(await main().getByRole("link").allTextContents()).toEqual(rooms);
    expect(await page.getByRole("link", { name: "New flow" }).count()).toBe(email.startsWith("ed") ? 1 : 0);
    await page.getByRole("link", { name: "flights-to-warehouse" }).click();
    await page.locator(".cm-content").waitFor();
    expect(await page.getByRole("button", { name: "Run", exact: true }).count()).toBe(email.startsWith("vi") ? 0 : 1);
    expect(await page.getByRole("button", { name: "Save" }).count()).toBe(email.startsWith("ed") ? 1 : 0);
    const before = await page.locator(".cm-content").textContent();
    await page.locator(".cm-content").click();
    await page.keyboard.type("X");
    expect((await page.locator(".cm-content").textContent()) === before).toBe(!email.startsWith("ed"));
  });

  it("a page the role may not see is not there, even by its address", async () => {
    await open();
    await page.goto(`${stub.url}/audit`);
    await sign("vi@example.org");
    await heading("Nothing is here");
    expect(stub.seen.requests.some(({ path }) => path.endsWith("/audit"))).toBe(false);
  });

  it("an API user has keys, an account and nothing else", async () => {
    await open();
    await sign("bot@example.org");
    await heading("API keys");
    expect(await main().getByRole("link").allTextContents()).toEqual(["API keys"]);
    await page.getByRole("link", { name: "Your account" }).click();
    await heading("Your account");
  });
});

describe("secrets and people", () => {
  it("a secret goes in and never comes back", async () => {
    await open();
    await sign();
    await heading("Flows");
    await go("Secrets");
    await page.getByRole("button", { name: "Set secret" }).click();
    await page.getByLabel("Name").fill("mail-password");
    await page.getByLabel("Value").fill("canary-7f3a9c");
    await page.getByRole("dialog").getByRole("button", { name: "Set secret" }).click();
    await page.getByRole("cell", { name: "mail-password", exact: true }).waitFor();
    expect(await page.evaluate(() => document.documentElement.outerHTML)).not.toContain("canary-7f3a9c");
    await page.getByRole("button", { name: "Delete mail-password" }).click();
    await page.getByRole("button", { name: "Delete secret" }).click();
    await page.getByRole("cell", { name: "mail-password", exact: true }).waitFor({ state: "detached" });
  });

  it("a secret can come from elsewhere, and says from where and whether it comes", async () => {
    await open();
    await sign();
    await heading("Flows");
    await go("Secrets");
    const row = (name: string) => page.getByRole("row").filter({ hasText: name });
    await row("mail-token").getByText("bao:shop/mail#token").waitFor();
    expect(await row("shop-password").textContent()).toContain("here");
    await page.getByRole("button", { name: "Link secret" }).click();
    await page.getByLabel("Name").fill("ftp-password");
    await page.getByLabel("Comes from").fill("bao:shop/gone#password");
    await page.getByRole("dialog").getByRole("button", { name: "Link secret" }).click();
    await page.getByRole("dialog").getByText("OpenBao has no").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).first().click();
    await page.getByRole("button", { name: "Link ftp-password" }).click();
    await page.getByLabel("Comes from").fill("bao:shop/ftp#password");
    await page.getByRole("dialog").getByRole("button", { name: "Link secret" }).click();
    await page.getByRole("dialog").getByText("It comes from bao:shop/ftp#password.").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).first().click();
    await row("ftp-password").getByText("bao:shop/ftp#password").waitFor();
  });

  it("an editor sees where a secret comes from and does not say it", async () => {
    await open();
    await sign("ed@example.org");
    await heading("Flows");
    await go("Secrets");
    await page.getByRole("row").filter({ hasText: "mail-token" }).getByText("bao:shop/mail#token").waitFor();
    await page.getByRole("button", { name: "Test mail-token" }).click();
    await page.getByRole("dialog").getByText("It comes from bao:shop/mail#token.").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).first().click();
    expect(await page.getByRole("button", { name: /^Link/ }).count()).toBe(0);
  });

  it("a new user's password is shown once", async () => {
    await open();
    await sign();
    await heading("Flows");
    await go("Users");
    await page.getByRole("button", { name: "New user" }).click();
    const dialog = page.getByRole("dialog");
    expect(await dialog.getByLabel("Role").locator("option").allTextContents()).toEqual([
      "Administrator",
      "Editor",
      "Operator",
      "Viewer",
      "API User",
    ]);
    await dialog.getByLabel("Email").fill("xenia@example.org");
    await dialog.getByLabel("Name").fill("Xenia Mill");
    await dialog.getByRole("button", { name: "Create user" }).click();
    await page.getByText("plank-otter-dune-9-violet").waitFor();
    await page.getByRole("button", { name: "I have it" }).click();
    await page.getByRole("cell", { name: "Xenia Mill", exact: true }).waitFor();
    expect(await page.evaluate(() => document.documentElement.outerHTML)).not.toContain("plank-otter");
  });
});
