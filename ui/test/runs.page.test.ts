/** Runs: started, followed, cancelled, and understood. */
import { describe, expect, it } from "vitest";
import { faults, go, heading, open, page, sign, stub } from "./browser.js";

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
