/** Tenants: entered and left, suspended, and what a tenant lets a SuperAdmin see. */
import { describe, expect, it } from "vitest";
import { context, faults, go, heading, main, open, page, sign, stub } from "./browser.js";
import { PASSWORD } from "./seed.mjs";

const dialog = () => page.getByRole("dialog");
const root = async (look: Parameters<typeof open>[1] = {}) => {
  await open({}, look);
  await sign("root@example.org", PASSWORD, "");
  await heading("Tenants");
};
const enter = async () => {
  await page.getByRole("button", { name: "Enter acme" }).click();
  await dialog().getByRole("button", { name: "Enter acme" }).click();
  await page.getByText("You are in tenant acme as SuperAdmin, without its rows.").waitFor();
};

describe("a SuperAdmin", () => {
  it("enters a tenant, always sees that, and leaves it with nothing of it left", async () => {
    await root();
    expect(await faults()).toEqual([]);
    expect(await main().getByRole("link").allTextContents()).toEqual(["Tenants", "Mail"]);
    await enter();
    await heading("Flows");
    await page.getByRole("link", { name: "flights-to-warehouse" }).waitFor();
    expect(await faults()).toEqual([]);
    await page.reload();
    await page.getByText("You are in tenant acme as SuperAdmin, without its rows.").waitFor();
    await go("Tenants");
    await page.getByText("you are here").waitFor();
    await page.getByRole("button", { name: "Leave the tenant" }).click();
    await page.getByText("You are in tenant").waitFor({ state: "detached" });
    await heading("Tenants");
    expect(await main().getByRole("link").allTextContents()).toEqual(["Tenants", "Mail"]);
    await page.goto(`${stub.url}/flows`);
    await heading("Nothing is here");
  });

  it("is in the same place in every tab", async () => {
    await root();
    const other = await context.newPage();
    await other.goto(stub.url);
    await other.getByRole("heading", { level: 1, name: "Tenants" }).waitFor();
    await enter();
    await other.getByText("You are in tenant acme as SuperAdmin").waitFor();
    await other.getByRole("button", { name: "Leave the tenant" }).click();
    await page.getByText("You are in tenant").waitFor({ state: "detached" });
    await other.close();
  });

  it("has no keys of their own in a tenant, but makes them for its programs", async () => {
    await root();
    await enter();
    await go("API keys");
    await page.getByRole("button", { name: "New key" }).click();
    expect(await dialog().getByLabel("For").locator("option").allTextContents()).toEqual(["nightly (Operator)"]);
    expect(await dialog().getByRole("checkbox", { name: "data:read" }).count()).toBe(0);
  });

  it("suspends and resumes a tenant, after one question", async () => {
    await root();
    await page.getByRole("button", { name: "Suspend acme" }).click();
    await dialog().getByRole("button", { name: "Suspend tenant" }).click();
    await page.getByRole("button", { name: "Resume acme" }).click();
    expect(await page.getByRole("button", { name: "Enter acme" }).count()).toBe(0);
    await dialog().getByRole("button", { name: "Resume tenant" }).click();
    await page.getByRole("button", { name: "Enter acme" }).waitFor();
    expect(stub.state.tenants.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "acme active",
      "globex suspended",
    ]);
  });

  it("resets the second factor of another who lost it, and not their own", async () => {
    await root();
    expect(await page.getByRole("button", { name: /^Reset second factor of/ }).count()).toBe(1);
    await page.getByRole("button", { name: "Reset second factor of Ruth Ford" }).click();
    expect(await faults()).toEqual([]);
    await dialog().getByRole("button", { name: "Reset" }).click();
    await page.getByText("ruth@example.org · no second factor").waitFor();
    expect(stub.state.users.find((each) => each.name === "Ruth Ford")?.factor).toBe(false);
  });

  it("looks after the others, never after the last", async () => {
    await root();
    await page.getByRole("button", { name: "Deactivate Ruth Ford" }).click();
    await dialog().getByRole("button", { name: "Deactivate" }).click();
    await page.getByRole("button", { name: "Activate Ruth Ford" }).waitFor();
    expect(await page.getByRole("button", { name: "Deactivate Root" }).count()).toBe(0);
    await page.getByRole("button", { name: "New SuperAdmin" }).click();
    await dialog().getByLabel("Email").fill("rolf@example.org");
    await dialog().getByLabel("Name").fill("Rolf");
    await dialog().getByRole("button", { name: "Create SuperAdmin" }).click();
    await page.getByText("plank-otter-dune-9-violet").waitFor();
    await page.getByRole("button", { name: "I have it" }).click();
    await page.getByText("rolf@example.org").waitFor();
    expect(await page.evaluate(() => document.documentElement.outerHTML)).not.toContain("plank-otter");
  });
});

describe("mail", () => {
  it("shows what became of each mail, and whether the relay takes one", async () => {
    await open();
    await sign();
    await heading("Flows");
    await go("Mail");
    const row = (name: string) => page.getByRole("row", { name });
    await row("oz@example.org").getByText("failed").waitFor();
    await row("oz@example.org").getByText("The relay refuses the recipient (550).").waitFor();
    await row("ivy@example.org").getByText("Invitation").waitFor();
    await row("ed@example.org").getByText("withdrawn").waitFor();
    expect(await faults()).toEqual([]);
    await page.getByRole("button", { name: "Send a test mail" }).click();
    await page.getByText("A test mail to ada@example.org is on its way.").waitFor();
    await row("ada@example.org").getByText("waiting").waitFor();
    expect(await faults()).toEqual([]);
  });

  it("says that no relay is set up, and to a SuperAdmin in no tenant where the lists are", async () => {
    await open({ mail: false });
    await sign("root@example.org", PASSWORD, "");
    await heading("Tenants");
    await go("Mail");
    await page.getByText("No relay is set up").waitFor();
    await page.getByText("listed in each tenant").waitFor();
    expect(await page.getByRole("button", { name: "Send a test mail" }).isDisabled()).toBe(true);
    expect(await faults()).toEqual([]);
  });
});

describe("support access", () => {
  it("is given for a reason, shown to the tenant on every page, and ended", async () => {
    await open();
    await sign();
    await heading("Flows");
    await go("Support access");
    await page.getByText("Nobody from outside sees your rows.").waitFor();
    await page.getByRole("button", { name: "Give support access" }).click();
    await dialog().getByLabel("Reason").fill("Ticket 4711");
    await dialog().getByLabel("SuperAdmin").fill("root@example.org");
    await dialog().getByLabel("Hours").fill("2");
    expect(await faults()).toEqual([]);
    await dialog().getByRole("button", { name: "Give access" }).click();
    await page.getByText("may see the rows of this tenant. It ends in 2 h").waitFor();
    await go("Runs");
    await page.getByText("may see the rows of this tenant.").waitFor();
    expect(await faults()).toEqual([]);
    await go("Support access");
    await page.getByRole("button", { name: "End Ticket 4711" }).click();
    await dialog().getByRole("button", { name: "End access" }).click();
    await page.getByText("may see the rows of this tenant.").waitFor({ state: "detached" });
    await page.getByRole("row", { name: "Ticket 4711" }).getByText("revoked").waitFor();
  });

  it("is shown to the SuperAdmin who has it, and who cannot give it", async () => {
    await root();
    stub.state.support.push({
      id: "one",
      email: "",
      state: "active",
      reason: "Ticket 4711",
      scopes: ["data:read"],
      created: new Date().toISOString(),
      created_by: stub.state.users[0]?.id,
      expires: new Date(Date.now() + 7_200_000).toISOString(),
      ended: null,
    });
    await page.getByRole("button", { name: "Enter acme" }).click();
    await dialog().getByRole("button", { name: "Enter acme" }).click();
    await page.getByText("All you ask is on its audit trail.").waitFor();
    await go("Support access");
    await page.getByText("Ticket 4711").waitFor();
    expect(await page.getByRole("button", { name: "Give support access" }).count()).toBe(0);
  });
});

describe("a role", () => {
  it("is changed on the user's page", async () => {
    await open();
    await sign();
    await heading("Flows");
    await go("Users");
    await page.getByRole("link", { name: "Vi Brook" }).click();
    await heading("Vi Brook");
    expect(await page.getByRole("button", { name: "Change role" }).isDisabled()).toBe(true);
    await page.getByLabel("Is", { exact: true }).selectOption("operator");
    await page.getByText("Their tokens and API keys end at once").waitFor();
    await page.getByRole("button", { name: "Change role" }).click();
    await page.getByText("Changed.").waitFor();
    expect(stub.state.users.find((each) => each.name === "Vi Brook")?.role).toBe("operator");
  });
});
