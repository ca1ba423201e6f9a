/** API keys: made once, shown once, revoked; and the programs they are for. */
import { describe, expect, it } from "vitest";
import { go, heading, open, page, sign, stub } from "./browser.js";
import { KEY } from "./stub.mjs";

const begin = async (email?: string) => {
  await open();
  await sign(email);
  await page.locator("main.page").waitFor();
  await go("API keys");
};
const dialog = () => page.getByRole("dialog");
const markup = () => page.evaluate(() => document.documentElement.outerHTML);

describe("a key", () => {
  it("is shown once, and is nowhere in the page afterwards", async () => {
    await begin();
    await page.getByRole("button", { name: "New key" }).click();
    await dialog().getByLabel("Name").fill("reports");
    await dialog().getByRole("checkbox", { name: "flow:read" }).check();
    await dialog().getByRole("checkbox", { name: "run:read" }).check();
    await dialog().getByLabel("Days").fill("30");
    await dialog().getByLabel("Networks").fill("192.0.2.0/24\n2001:db8::/32");
    await dialog().getByRole("button", { name: "Create key" }).click();
    await dialog().getByText(KEY).waitFor();
    // Neither a stray key nor a click beside it may lose what is shown once.
    await page.keyboard.press("Escape");
    await page.mouse.click(5, 5);
    await dialog().getByText(KEY).waitFor();
    await dialog().getByText("sluice flow list").waitFor();
    expect(await dialog().locator("pre").allTextContents()).not.toContain(KEY);
    await dialog().getByRole("button", { name: "I have it" }).click();
    const row = page.getByRole("row", { name: "reports" });
    await row.getByText("flow:read run:read").waitFor();
    await row.getByText("2001:db8::/32").waitFor();
    await row.getByText("in 30 days").waitFor();
    expect(await markup()).not.toContain(KEY);
    await page.getByRole("button", { name: "New key" }).click();
    await dialog().getByRole("button", { name: "Create key" }).waitFor();
    expect(await markup()).not.toContain(KEY);
  });

  it("tells what is wrong with it, and keeps what was typed", async () => {
    await begin();
    await page.getByRole("button", { name: "New key" }).click();
    await dialog().getByLabel("Name").fill("reports");
    await dialog().getByRole("button", { name: "Create key" }).click();
    await dialog().getByText("Choose at least one.").waitFor();
    await dialog().getByRole("checkbox", { name: "run:read" }).check();
    await dialog().getByLabel("Networks").fill("the office");
    await dialog().getByRole("button", { name: "Create key" }).click();
    await dialog().getByRole("alert").getByText("this is no address and no network").waitFor();
    expect(await dialog().getByLabel("Name").inputValue()).toBe("reports");
    expect(stub.state.keys.some((each) => each.name === "reports")).toBe(false);
  });

  it("asks for a fresh proof over the form, which stays when the proof is not given", async () => {
    await begin();
    stub.state.stale = true;
    await page.getByRole("button", { name: "New key" }).click();
    await dialog().getByLabel("Name").fill("reports");
    await dialog().getByRole("checkbox", { name: "run:read" }).check();
    await dialog().getByRole("button", { name: "Create key" }).click();
    const proof = page.getByRole("dialog", { name: "Is it still you?" });
    await proof.waitFor();
    await page.keyboard.press("Escape");
    await proof.waitFor({ state: "detached" });
    await dialog().getByText("This needs a fresh proof that it is you.").waitFor();
    expect(await dialog().getByLabel("Name").inputValue()).toBe("reports");
    await dialog().getByRole("button", { name: "Create key" }).click();
    await proof.getByLabel("Password").fill("correct horse battery staple");
    await proof.getByRole("button", { name: "Go on" }).click();
    await dialog().getByText(KEY).waitFor();
  });

  it("is revoked after one question", async () => {
    await begin();
    await page.getByRole("button", { name: "Revoke nightly-run" }).click();
    await dialog().getByRole("button", { name: "Revoke key" }).click();
    await page.getByRole("row", { name: "nightly-run" }).waitFor({ state: "detached" });
    await page.getByRole("checkbox", { name: "Also those that have ended" }).check();
    await page.getByRole("row", { name: "nightly-run" }).getByText("revoked").waitFor();
    expect(await page.getByRole("button", { name: "Revoke nightly-run" }).count()).toBe(0);
  });
});

describe("whose keys", () => {
  it("a program gets a user of its own, and no more scopes than its role has", async () => {
    await begin();
    await page.getByRole("button", { name: "New service user" }).click();
    await dialog().getByLabel("Name").fill("exporter");
    expect(await dialog().getByLabel("Role").locator("option").allTextContents()).toEqual([
      "Editor",
      "Operator",
      "Viewer",
      "API User",
    ]);
    await dialog().getByLabel("Role").selectOption("viewer");
    await dialog().getByRole("button", { name: "Create service user" }).click();
    await dialog().getByRole("button", { name: "Make a key" }).click();
    await dialog().getByLabel("Name").fill("exporter-key");
    expect(await dialog().getByLabel("For").locator("option:checked").textContent()).toBe("exporter (Viewer)");
    expect(await dialog().getByRole("checkbox").count()).toBe(3);
    await dialog().getByRole("checkbox", { name: "flow:read" }).check();
    await dialog().getByRole("button", { name: "Create key" }).click();
    await dialog().getByRole("button", { name: "I have it" }).click();
    await page.getByRole("row", { name: "exporter-key" }).getByText("exporter", { exact: true }).waitFor();
  });

  it("a person who manages nobody sees and makes their own alone", async () => {
    await begin("ed@example.org");
    await page.getByRole("cell", { name: "laptop", exact: true }).waitFor();
    expect(await page.getByRole("cell", { name: "dashboard", exact: true }).count()).toBe(0);
    expect(await page.getByRole("button", { name: "New service user" }).count()).toBe(0);
    await page.getByRole("button", { name: "New key" }).click();
    await dialog().getByLabel("Name").waitFor();
    expect(await dialog().getByLabel("For").count()).toBe(0);
    expect(await dialog().getByRole("checkbox", { name: "user:manage" }).count()).toBe(0);
    expect(stub.seen.requests.some(({ path }) => path.endsWith("/users"))).toBe(false);
  });
});

describe("users", () => {
  it("tell people and programs apart, and lead to what can be done", async () => {
    await begin();
    await go("Users");
    await page.getByRole("row", { name: "nightly" }).getByText("service user").waitFor();
    await page.getByRole("link", { name: "Ed Fenn" }).click();
    await heading("Ed Fenn");
    await page.getByRole("button", { name: "Reset second factor" }).click();
    await dialog().getByRole("button", { name: "Reset" }).click();
    await page.getByText("They have none: their password alone signs them in.").waitFor();
    await page.getByLabel("May come from").fill("192.0.2.0/24");
    await page.getByRole("button", { name: "Save networks" }).click();
    await page.getByText("Saved.").waitFor();
    expect(stub.state.users.find((each) => each.name === "Ed Fenn")?.addresses).toEqual(["192.0.2.0/24"]);
    await page.getByRole("button", { name: "Deactivate" }).click();
    await dialog().getByRole("button", { name: "Deactivate" }).click();
    await page.getByRole("main").getByText("deactivated").waitFor();
    expect(await page.getByRole("button", { name: "Deactivate" }).count()).toBe(0);
    await page.getByRole("link", { name: "Users", exact: true }).first().click();
    await page.getByRole("row", { name: "Ed Fenn" }).getByText("deactivated").waitFor();
  });

  it("offer nothing on oneself that the server refuses", async () => {
    await begin();
    await go("Users");
    await page.getByRole("link", { name: "Ada Marsh" }).click();
    await page.getByText("This is you.").waitFor();
    expect(await page.getByRole("button", { name: "Deactivate" }).count()).toBe(0);
    await page.goto(`${stub.url}/users/nobody`);
    await page.getByText("There is no such user in this tenant.").waitFor();
  });
});
