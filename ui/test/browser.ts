/** The built page in a real Chromium, under the server's own headers. Run `npm run build` first. Each test file has its own. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { PASSWORD } from "./seed.mjs";
import { start } from "./stub.mjs";

type Stub = Awaited<ReturnType<typeof start>>;

const FLAGS =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync";

let browser: Browser;
let axe: string;
export let stub: Stub;
export let context: BrowserContext;
export let page: Page;
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

export async function open(options: Parameters<typeof start>[0] = {}, look: { colorScheme?: "light" | "dark" } = {}) {
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

export async function sign(email = "ada@example.org", password = PASSWORD, tenant = "acme") {
  await page.getByLabel("Tenant").fill(tenant);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

export const heading = (name: string) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
export const main = () => page.getByRole("navigation", { name: "Main" });
export const go = async (name: string) => {
  await main().getByRole("link", { name, exact: true }).click();
  await heading(name);
};

/** Return what axe finds on the page now, as one line each. */
export async function faults(): Promise<string[]> {
  // Run by the debugger, so the page's policy need not allow it.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const found = await (window as unknown as { axe: typeof import("axe-core") }).axe.run();
    return found.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  });
}
