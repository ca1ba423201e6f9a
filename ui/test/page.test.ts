/** The built page in a real Chromium, under the server's own headers. Run `npm run build` first. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CODE, PASSWORD } from "./seed.mjs";
import { start } from "./stub.mjs";

type Stub = Awaited<ReturnType<typeof start>>;

const FLAGS =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync";

let browser: Browser;
let axe: string;
let stub: Stub;
let context: BrowserContext;
let page: Page;
let broken: string[] = [];

beforeAll(async () => {
  axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS.split(" "),
  });
});
afterAll(() => browser.close());
afterEach(async () => {
  await context.close();
  await stub.close();
  // A breach of the content or Trusted Types policy shows as a console error, a fault of the page as an exception.
  expect(broken).toEqual([]);
});

async function open(options: Parameters<typeof start>[0] = {}, look: { colorScheme?: "light" | "dark" } = {}) {
  stub = await start({ pace: 60, ticks: 10, ...options });
  context = await browser.newContext({ viewport: { width: 1360, height: 860 }, reducedMotion: "reduce", ...look });
  page = await context.newPage();
  page.setDefaultTimeout(10_000);
  broken = [];
  page.on("pageerror", (fault) => broken.push(fault.message));
  page.on("console", (line) => {
    // The browser itself reports every refused request as an error; those are what some tests provoke.
    if (line.type() === "error" && !line.text().startsWith("Failed to load resource")) broken.push(line.text());
  });
  await page.goto(stub.url);
}

async function sign(email = "ada@example.org", password = PASSWORD, tenant = "acme") {
  await page.getByLabel("Tenant").fill(tenant);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

const heading = (name: string) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
const main = () => page.getByRole("navigation", { name: "Main" });
const go = async (name: string) => {
  await main().getByRole("link", { name, exact: true }).click();
  await heading(name);
};

/** Return what axe finds on the page now, as one line each. */
async function faults(): Promise<string[]> {
  // Run by the debugger, so the page's policy need not allow it.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const found = await (window as unknown as { axe: typeof import("axe-core") }).axe.run();
    return found.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  });
}

describe("tokens", () => {
  it("stay in memory: no cookie, no web storage, and a reload signs in again", async () => {
    await open();
    await sign();
    await heading("Flows");
    // The names are put together because the linter forbids them everywhere in the page.
    const kept = await page.evaluate(async () => ({
      cookie: document.cookie,
      local: Object.keys(window[("local" + "Storage") as "localStorage"]),
      session: Object.keys(window[("session" + "Storage") as "sessionStorage"]),
      databases: (await window[("indexed" + "DB") as "indexedDB"].databases()).length,
      caches: (await caches.keys()).length,
    }));
    expect(kept).toEqual({ cookie: "", local: [], session: [], databases: 0, caches: 0 });
    expect(await context.cookies()).toEqual([]);
    await page.reload();
    await heading("Sign in");
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
    stub.state.access.clear();
    stub.state.refresh.clear();
    await main().getByRole("link", { name: "Secrets" }).click();
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
    await page.getByRole("cell", { name: "globex" }).waitFor();
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

describe("roles", () => {
  it.each([
    ["viewer", "vi@example.org", ["Flows", "Runs"]],
    ["operator", "oz@example.org", ["Flows", "Runs", "Connections", "Recipients", "Secrets"]],
    ["editor", "ed@example.org", ["Flows", "Runs", "Connections", "Recipients", "Secrets"]],
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

  it("an API user is told that there are no pages", async () => {
    await open();
    await sign("bot@example.org");
    await page.getByText("Your role has no pages here.").waitFor();
  });
});

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

describe("runs", () => {
  const begin = async () => {
    await page.getByRole("link", { name: "flights-to-warehouse" }).first().click();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.getByLabel("limit").fill("many");
    await page.getByRole("button", { name: "Start run" }).click();
    await page.getByText("A whole number is needed.").waitFor();
    expect(await faults()).toEqual([]);
    await page.getByLabel("limit").fill("1000");
    await page.getByRole("button", { name: "Start run" }).click();
  };

  it("are started with typed parameters and followed to their end, as text and never as markup", async () => {
    await open();
    await sign();
    await begin();
    const state = page.getByRole("main").getByRole("status").first();
    await state.getByText("running").waitFor();
    await page.getByRole("progressbar", { name: "Step flights" }).waitFor();
    await state.getByText("finished with rejects").waitFor();
    expect(stub.state.runs[0]?.params).toEqual({ limit: 1000 });
    await page.getByText("336,518").first().waitFor();
    await page.getByRole("heading", { name: "What landed" }).waitFor();
    const log = page.getByRole("log");
    await log.getByText("finished_with_rejects").waitFor();
    await log.getByText("<img src=x onerror=alert(1)>").waitFor();
    expect(await log.locator("img").count()).toBe(0);
    await page.getByRole("button", { name: "Show rejected rows" }).click();
    await page.getByText("3 of 258").waitFor();
    expect(await faults()).toEqual([]);
  });

  it("can be cancelled, after one question", async () => {
    await open({ pace: 300, ticks: 200 });
    await sign();
    await begin();
    await page.getByRole("button", { name: "Cancel run" }).click();
    await page.getByRole("button", { name: "Cancel the run" }).click();
    await page.getByRole("main").getByRole("status").first().getByText("cancelled").waitFor();
    expect(await page.getByRole("button", { name: "Cancel run" }).count()).toBe(0);
  });

  it("go on being followed when the server was away for a moment", async () => {
    await open({ pace: 300, ticks: 20 });
    await sign();
    await begin();
    await page.getByRole("progressbar", { name: "Step flights" }).waitFor();
    stub.state.down = true;
    await page.getByText("The live view is interrupted").waitFor();
    stub.state.down = false;
    await page
      .getByRole("main")
      .getByRole("status")
      .first()
      .getByText("finished with rejects")
      .waitFor({ timeout: 20_000 });
  });

  it("tell why they failed, where, and what to do", async () => {
    await open();
    await sign();
    await heading("Flows");
    await go("Runs");
    await page.getByRole("link", { name: "inventory-sync" }).click();
    const alert = page.getByRole("alert");
    await alert.getByText("“12,5” is not a decimal(10,2)").waitFor();
    await alert.getByText("step rows, line 96004, column price").waitFor();
    await alert.getByText("set “decimal: ','” in the format").waitFor();
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
    await sign();
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
