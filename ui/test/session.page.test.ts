/** From the sign-in page to signing out: what is kept, and what is not. */
import { describe, expect, it } from "vitest";
import { context, faults, go, heading, main, open, page, sign, stub } from "./browser.js";
import { CODE, PASSWORD } from "./seed.mjs";

/** What this page's database holds, as a script that runs in the page would find it. */
const held = () =>
  page.evaluate(async () => {
    const asked = window[("indexed" + "DB") as "indexedDB"].open("sluicegate", 1);
    const database = await new Promise<IDBDatabase>((done) => {
      asked.onsuccess = () => done(asked.result);
    });
    const found = database.transaction("session").objectStore("session").get("kept");
    const kept = await new Promise<{ pair: CryptoKeyPair; refresh: string } | undefined>((done) => {
      found.onsuccess = () => done(found.result);
    });
    database.close();
    if (!kept) return undefined;
    const stolen = await crypto.subtle.exportKey("pkcs8", kept.pair.privateKey).then(
      () => "exported",
      (fault: DOMException) => fault.name,
    );
    return { refresh: kept.refresh.startsWith("rt_"), extractable: kept.pair.privateKey.extractable, stolen };
  });

describe("tokens", () => {
  it("are in no cookie and no web storage; a reload stays signed in by a key that cannot be exported", async () => {
    await open();
    await sign();
    await heading("Flows");
    // The names are put together because the linter forbids them everywhere in the page.
    const kept = await page.evaluate(async () => ({
      cookie: document.cookie,
      local: Object.keys(window[("local" + "Storage") as "localStorage"]),
      session: Object.keys(window[("session" + "Storage") as "sessionStorage"]),
      caches: (await caches.keys()).length,
    }));
    expect(kept).toEqual({ cookie: "", local: [], session: [], caches: 0 });
    expect(await held()).toEqual({ refresh: true, extractable: false, stolen: "InvalidAccessError" });
    expect(await context.cookies()).toEqual([]);
    await page.reload();
    await heading("Flows");
    expect(new Set(stub.seen.keys).size).toBe(1);
  });

  it("leave nothing behind when the person signs out, in another tab neither", async () => {
    await open();
    await sign();
    await heading("Flows");
    const other = await context.newPage();
    await other.goto(stub.url);
    await other.getByRole("heading", { name: "Flows" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await heading("Sign in");
    await other.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await held()).toBeUndefined();
    await page.reload();
    await heading("Sign in");
    await other.close();
  });

  it("are gone after signing out, and so is the page", async () => {
    await open();
    await page.goto(`${stub.url}/users`);
    await sign();
    await heading("Users");
    await page.getByRole("button", { name: "Sign out" }).click();
    await heading("Sign in");
    expect(new URL(page.url()).pathname).toBe("/");
    expect(stub.state.refresh.size).toBe(0);
  });

  it("are not reachable from the page's globals", async () => {
    await open();
    await sign();
    await heading("Flows");
    const tokens = [...stub.state.access.keys(), ...stub.state.refresh.keys()];
    const found = await page.evaluate((held) => {
      const seen = new Set<unknown>();
      const search = (value: unknown, depth: number): boolean => {
        if (typeof value === "string") return held.some((token) => value.includes(token));
        if (typeof value !== "object" || value === null || depth > 3 || seen.has(value)) return false;
        seen.add(value);
        return Object.keys(value).some((key) => {
          try {
            return search((value as Record<string, unknown>)[key], depth + 1);
          } catch {
            return false;
          }
        });
      };
      return search(window, 0) || held.some((token) => document.documentElement.outerHTML.includes(token));
    }, tokens);
    expect(found).toBe(false);
  });

  it("are renewed while the person works", async () => {
    await open({ ttl: 2 });
    await sign();
    await heading("Flows");
    await page.waitForTimeout(2500);
    await go("Runs");
    await page.getByRole("link", { name: "orders-hourly" }).waitFor();
    expect(stub.seen.refreshes).toBeGreaterThan(0);
  });

  it("that cannot be renewed lead back to the sign-in page, with nothing of the person left", async () => {
    await open();
    await sign();
    await heading("Flows");
    const link = await main().getByRole("link", { name: "Secrets" }).elementHandle();
    stub.state.access.clear();
    stub.state.refresh.clear();
    await link?.dispatchEvent("click"); // whether or not the page has noticed by itself meanwhile
    await page.getByText("Your session has ended. Sign in again.").waitFor();
    await sign("vi@example.org");
    await heading("Nothing is here");
    await page.getByText("Vi Brook").waitFor();
    expect(await page.getByText("Ada Marsh").count()).toBe(0);
    await go("Flows");
    expect(await page.getByText("Ada Marsh").count()).toBe(0);
  });
});

describe("doors", () => {
  it("tells a wrong password and clears the field", async () => {
    await open();
    await sign("ada@example.org", "not the password at all");
    await page.getByRole("alert").getByText("Wrong tenant, email or password.").waitFor();
    expect(await page.getByLabel("Password").inputValue()).toBe("");
  });

  it("makes the first administrator when there is nobody, who then makes a tenant", async () => {
    await open({ bootstrap: true });
    await heading("First administrator");
    expect(await faults()).toEqual([]);
    await page.getByLabel("Code").fill(CODE);
    await page.getByLabel("Email").fill("root@example.org");
    await page.getByLabel("Name").fill("Root");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Create administrator" }).click();
    await heading("Tenants");
    await page.getByRole("button", { name: "New tenant" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("globex");
    await page.getByRole("button", { name: "Create tenant" }).click();
    await page.getByRole("cell", { name: "globex", exact: true }).waitFor();
  });

  it("asks for an own password before anything else", async () => {
    await open();
    await sign("new@example.org", "given-once-by-the-admin");
    await heading("Choose your own password");
    expect(await faults()).toEqual([]);
    await page.getByLabel("Current password").fill("given-once-by-the-admin");
    await page.getByLabel("New password", { exact: true }).fill("a marsh of seven herons");
    await page.getByLabel("New password again").fill("a marsh of seven herons");
    await page.getByRole("button", { name: "Change password" }).click();
    await heading("Flows");
  });
});
