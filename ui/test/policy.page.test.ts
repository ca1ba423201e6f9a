/** What a tenant asks of its people: shown with its origin, changed with a fresh proof. */
import { describe, expect, it } from "vitest";
import { faults, go, heading, open, page, sign, stub } from "./browser.js";
import { PASSWORD } from "./seed.mjs";

const begin = async () => {
  await open();
  await sign();
  await heading("Flows");
  await go("Policy");
  await page.getByLabel("Length of passwords").waitFor();
};

describe("a policy", () => {
  it("is set with a fresh proof, and only as far as the tenant has a say", async () => {
    await begin();
    expect(await faults()).toEqual([]);
    expect(await page.getByLabel("Second factor for everybody").locator("option").allTextContents()).toEqual([
      "As the installation has it: no",
      "Yes",
    ]);
    expect(await page.getByLabel("Hours of a support access").count()).toBe(0);
    expect(await page.getByRole("button", { name: "Save policy" }).isDisabled()).toBe(true);
    stub.state.stale = true;
    await page.getByLabel("Second factor for everybody").selectOption("yes");
    await page.getByLabel("Days of an API key").fill("60");
    await page.getByLabel("Networks").fill("192.0.2.0/24");
    await page.getByRole("button", { name: "Save policy" }).click();
    const proof = page.getByRole("dialog", { name: "Is it still you?" });
    await proof.getByLabel("Password").fill(PASSWORD);
    await proof.getByRole("button", { name: "Go on" }).click();
    await page.getByText("Saved. It holds now").waitFor();
    expect(stub.state.policy).toEqual({ factor_required: true, key_days: 60, addresses: ["192.0.2.0/24"] });
    await page.reload();
    await page.getByLabel("Days of an API key").waitFor();
    expect(await page.getByLabel("Days of an API key").inputValue()).toBe("60");
    await page.getByLabel("Days of an API key").fill("");
    await page.getByRole("button", { name: "Save policy" }).click();
    await page.getByText("Saved. It holds now").waitFor();
    expect(stub.state.policy).toEqual({ factor_required: true, addresses: ["192.0.2.0/24"] });
  });

  it("tells what is wrong and keeps what was typed; undo brings back what holds", async () => {
    await begin();
    await page.getByLabel("Networks").fill("the office");
    await page.getByRole("button", { name: "Save policy" }).click();
    await page.getByRole("alert").getByText("this is no address and no network").waitFor();
    expect(await page.getByLabel("Networks").inputValue()).toBe("the office");
    await page.getByRole("button", { name: "Undo" }).click();
    expect(await page.getByLabel("Networks").inputValue()).toBe("");
    await page.getByLabel("Length of passwords").fill("12");
    await page.getByRole("button", { name: "Save policy" }).click();
    expect(
      await page.getByLabel("Length of passwords").evaluate((field: HTMLInputElement) => field.checkValidity()),
    ).toBe(false);
    expect(stub.state.policy).toEqual({});
  });
});
