/** One's own account: password, second factors, recovery codes. */
import { readFile } from "node:fs/promises";
import decodeQR from "qr/decode.js";
import { describe, expect, it } from "vitest";
import { context, open, page, sign, stub } from "./browser.js";
import { PASSWORD } from "./seed.mjs";
import { CODES, SEED } from "./stub.mjs";

const begin = async () => {
  await open();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${stub.url}/account`);
  await sign();
  await page.getByRole("heading", { level: 1, name: "Your account" }).waitFor();
};
const dialog = () => page.getByRole("dialog");
const markup = () => page.evaluate(() => document.documentElement.outerHTML);

/** What a camera reads off the screen. */
async function scan(): Promise<string> {
  const drawn = await page.locator(".qr").evaluate((svg: SVGElement) => ({
    size: (svg as SVGSVGElement).viewBox.baseVal.width,
    path: svg.querySelector("path")?.getAttribute("d") ?? "",
  }));
  const scale = 4;
  const width = drawn.size * scale;
  const data = new Uint8Array(width * width * 4).fill(255);
  for (const [, x = "", y = "", wide = ""] of drawn.path.matchAll(/M(\d+) (\d+)h(\d+)v1H\d+z/g))
    for (let row = Number(y) * scale; row < (Number(y) + 1) * scale; row += 1)
      data.fill(0, (row * width + Number(x) * scale) * 4, (row * width + (Number(x) + Number(wide)) * scale) * 4);
  return decodeQR({ width, height: width, data });
}

describe("a second factor", () => {
  it("is scanned, confirmed, and leaves recovery codes that are shown once", async () => {
    await begin();
    await page.getByText("You sign in with your password alone.").waitFor();
    await page.getByRole("button", { name: "Add an app" }).click();
    await dialog().getByLabel("Name").fill("Work phone");
    await dialog().getByRole("button", { name: "Begin" }).click();
    await dialog().locator(".qr").waitFor();
    expect(await scan()).toBe(
      `otpauth://totp/Sluicegate%20acme:ada%40example.org?secret=${SEED}&issuer=Sluicegate%20acme`,
    );
    await dialog().getByLabel("Code").fill("000000");
    await dialog().getByRole("button", { name: "Confirm" }).click();
    await dialog().getByText("The code is wrong or has been used.").waitFor();
    await dialog().getByLabel("Code").fill("123456");
    await dialog().getByRole("button", { name: "Confirm" }).click();
    await dialog().getByText(`${CODES}-9`).waitFor();
    expect(await markup()).not.toContain(SEED);
    await dialog().getByRole("button", { name: "Copy the codes" }).click();
    await dialog().getByText("copied").waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(
      Array.from({ length: 10 }, (_, at) => `${CODES}-${at}`).join("\n"),
    );
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      dialog().getByRole("button", { name: "Download" }).click(),
    ]);
    expect(await readFile(await file.path(), "utf8")).toContain(`${CODES}-7\n`);
    await page.emulateMedia({ media: "print" });
    await dialog().getByText(`${CODES}-9`).waitFor();
    expect(await page.getByRole("heading", { level: 1 }).count()).toBe(0);
    await page.emulateMedia({ media: "screen" });
    await dialog().getByRole("button", { name: "I have kept them" }).click();
    await page.getByText("10 recovery codes left.").waitFor();
    expect(await markup()).not.toContain(CODES);
    await page.getByRole("button", { name: "Remove Work phone" }).click();
    await dialog().getByText("It is your only one").waitFor();
    await dialog().getByRole("button", { name: "Remove", exact: true }).click();
    await page.getByText("You sign in with your password alone.").waitFor();
  });
});

describe("a password", () => {
  it("is changed where one is, and one stays signed in", async () => {
    await begin();
    await page.getByRole("button", { name: "Change password" }).click();
    await dialog().getByLabel("Current password").fill("not mine");
    await dialog().getByLabel("New password", { exact: true }).fill("a marsh of seven herons");
    await dialog().getByLabel("New password again").fill("a marsh of seven");
    await dialog().getByText("This is not the same.").waitFor();
    await dialog().getByLabel("New password again").fill("a marsh of seven herons");
    await dialog().getByRole("button", { name: "Change password" }).click();
    await dialog().getByText("The old password is wrong.").waitFor();
    await dialog().getByLabel("Current password").fill(PASSWORD);
    await dialog().getByRole("button", { name: "Change password" }).click();
    await page.getByText("Your password is changed. You are signed out everywhere else.").waitFor();
    expect(stub.state.users[0]?.password).toBe("a marsh of seven herons");
    expect(await markup()).not.toContain("seven herons");
  });
});
