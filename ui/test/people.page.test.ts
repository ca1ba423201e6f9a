/** People: invited, welcomed, helped back in; and what one sees of oneself. */
import { describe, expect, it } from "vitest";
import { context, faults, go, heading, open, page, sign, stub } from "./browser.js";
import { PASSWORD } from "./seed.mjs";

const dialog = () => page.getByRole("dialog");
const markup = () => page.evaluate(() => document.documentElement.outerHTML);
const NEW = "a marsh of seven herons";
const users = async (options: Parameters<typeof open>[0] = {}) => {
  await open(options);
  await sign();
  await heading("Flows");
  await go("Users");
};

/** A good link of the stub's, as it stands in a mail. */
const linked = (name: "invitation" | "reset" | "email", who: string) => {
  const user = stub.state.users.find((each) => each.name === who);
  stub.state.links.set(`${name}-token`, Object.assign(user ?? {}, { wanted: "ada@marsh.example" }));
  return `${stub.url}/#/${name}/${name}-token`;
};

describe("an invitation", () => {
  it("goes out by mail; its state is seen, and it can be sent again or cancelled", async () => {
    await users();
    await page.getByRole("button", { name: "Invite", exact: true }).click();
    await dialog().getByLabel("Email").fill("lea@example.org");
    await dialog().getByLabel("Role").selectOption("operator");
    expect(await faults()).toEqual([]);
    await dialog().getByRole("button", { name: "Invite" }).click();
    await dialog().getByText("A mail with a link goes to them.").waitFor();
    expect(await dialog().getByRole("button", { name: "Copy the link" }).count()).toBe(0);
    await dialog().getByRole("button", { name: "Close" }).last().click();
    await page.getByRole("row", { name: "lea@example.org" }).getByText("invited").waitFor();
    await page.getByRole("link", { name: "Ivy Rill" }).click();
    await page.getByText("The mail: sent.").waitFor();
    expect(await faults()).toEqual([]);
    await page.getByRole("button", { name: "Send a new link" }).click();
    await dialog().getByText("The link before it is dead.").waitFor();
    await dialog().getByRole("button", { name: "Close" }).last().click();
    await page.getByRole("button", { name: "Cancel invitation" }).click();
    await dialog().getByRole("button", { name: "Cancel invitation" }).click();
    await page.getByRole("main").getByText("deactivated").waitFor();
  });

  it("without mail is a link that is shown once", async () => {
    await users({ mail: false });
    await page.getByRole("button", { name: "Invite", exact: true }).click();
    await dialog().getByLabel("Email").fill("lea@example.org");
    await dialog().getByRole("button", { name: "Invite" }).click();
    await dialog().getByText("https://sluice.example.org/#/invitation/").waitFor();
    await page.keyboard.press("Escape");
    expect(await faults()).toEqual([]);
    await dialog().getByRole("button", { name: "I have it" }).click();
    await dialog().waitFor({ state: "detached" });
    await page.getByRole("row", { name: "lea@example.org" }).getByText("invited").waitFor();
    expect(await markup()).not.toContain("#/invitation/");
    await page.getByRole("link", { name: "Ed Fenn" }).click();
    await page.getByRole("button", { name: "Send a reset link" }).click();
    await dialog().getByText("#/reset/").waitFor();
    await dialog().getByRole("button", { name: "I have it" }).click();
    await dialog().waitFor({ state: "detached" });
    expect(await markup()).not.toContain("#/reset/");
  });

  it("is accepted by its link, whose token leaves the address at once and is in no history", async () => {
    await open();
    await page.goto(linked("invitation", "Ivy Rill"));
    await heading("Welcome");
    expect(page.url()).toBe(`${stub.url}/`);
    expect(await faults()).toEqual([]);
    await page.getByLabel("Name").fill("Ivy Rillwater");
    await page.getByLabel("Password").fill("too short indeed");
    await page.getByLabel("Once more").fill("not the same");
    await page.getByText("This is not the same.").waitFor();
    await page.getByLabel("Password").fill(NEW);
    await page.getByLabel("Once more").fill(NEW);
    await page.getByRole("button", { name: "Accept invitation" }).click();
    await heading("Flows");
    await page.getByText("Ivy Rillwater").waitFor();
    expect(await markup()).not.toContain("invitation-token");
    await page.reload();
    await heading("Flows");
    await page.getByRole("link", { name: "Your account" }).click();
    await page.getByRole("button", { name: "Change password" }).click();
    await dialog().getByLabel("Current password").fill(NEW);
    await dialog().getByLabel("New password", { exact: true }).fill(`${NEW} more`);
    await dialog().getByLabel("New password again").fill(`${NEW} more`);
    await dialog().getByRole("button", { name: "Change password" }).click();
    await page.getByText("Your password is changed.").waitFor();
  });

  it("that is wrong or used says so, and leads on", async () => {
    await open();
    await page.goto(`${stub.url}/#/invitation/forged`);
    await heading("Welcome");
    await page.getByLabel("Name").fill("Mallory");
    await page.getByLabel("Password").fill(NEW);
    await page.getByLabel("Once more").fill(NEW);
    await page.getByRole("button", { name: "Accept invitation" }).click();
    await page.getByRole("alert").getByText("The link is wrong, has been used, or is over.").waitFor();
    await page.getByRole("button", { name: "Not now" }).click();
    await heading("Sign in");
  });

  it("does not take over the page of who is signed in", async () => {
    await open();
    await sign();
    await heading("Flows");
    await page.evaluate(
      (to) => {
        location.hash = to;
      },
      new URL(linked("invitation", "Ivy Rill")).hash,
    );
    await heading("An invitation");
    expect(new URL(page.url()).hash).toBe("");
    await page.getByRole("button", { name: "Stay signed in" }).click();
    await heading("Flows");
    await page.evaluate(
      (to) => {
        location.hash = to;
      },
      new URL(linked("invitation", "Ivy Rill")).hash,
    );
    await page.getByRole("button", { name: "Sign out" }).click();
    await heading("Welcome");
  });
});

describe("a forgotten password", () => {
  it("is asked for without telling who is known here", async () => {
    await open();
    await page.getByRole("button", { name: "Password forgotten?" }).click();
    await heading("Password forgotten");
    expect(await faults()).toEqual([]);
    await page.getByLabel("Tenant").fill("acme");
    await page.getByLabel("Email").fill("nobody@example.org");
    await page.getByRole("button", { name: "Send a link" }).click();
    await page.getByText("If there is such an account").waitFor();
    expect(stub.state.forgot).toEqual(["acme/nobody@example.org"]);
    await page.getByRole("button", { name: "Back" }).click();
    await heading("Sign in");
  });

  it("needs an administrator where no mail is set up", async () => {
    await open({ mail: false });
    await page.getByRole("button", { name: "Password forgotten?" }).click();
    await page.getByText("This server sends no mail.").waitFor();
    expect(await page.getByLabel("Email").count()).toBe(0);
  });

  it("is replaced by a link, once", async () => {
    await open();
    await page.goto(linked("reset", "Ada Marsh"));
    await heading("Choose a new password");
    expect(page.url()).toBe(`${stub.url}/`);
    expect(await faults()).toEqual([]);
    await page.getByLabel("Password").fill(NEW);
    await page.getByLabel("Once more").fill(NEW);
    await page.getByRole("button", { name: "Change password" }).click();
    await heading("Your password is changed");
    await page.getByRole("button", { name: "Go on" }).click();
    await sign("ada@example.org", NEW);
    await heading("Flows");
  });
});

describe("oneself", () => {
  const begin = async () => {
    await open();
    await page.goto(`${stub.url}/account`);
    await sign();
    await heading("Your account");
    await page.getByRole("button", { name: "Edit" }).waitFor();
  };

  it("can be called otherwise, and have another address by a link that is sent there", async () => {
    await begin();
    expect(await faults()).toEqual([]);
    await page.getByRole("button", { name: "Edit" }).click();
    await dialog().getByLabel("Name").fill("Ada Saltmarsh");
    await dialog().getByLabel("Time zone").fill("Europe/Berlin");
    await dialog().getByRole("button", { name: "Save" }).click();
    await page.getByRole("main").getByText("Europe/Berlin").waitFor();
    await page.getByRole("complementary").getByText("Ada Saltmarsh").waitFor();
    await page.getByRole("button", { name: "Change email" }).click();
    await dialog().getByLabel("New email").fill("ada@marsh.example");
    await dialog().getByRole("button", { name: "Send a link" }).click();
    await dialog().getByText("A link is on its way to").waitFor();
    await dialog().getByRole("button", { name: "Close" }).last().click();
    await page.goto(linked("email", "Ada Saltmarsh"));
    await heading("A new e-mail address");
    await page.getByRole("button", { name: "Confirm" }).click();
    await heading("Your address is changed");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("link", { name: "Your account" }).click();
    await page.getByRole("main").getByText("ada@marsh.example").waitFor();
    await page.getByRole("button", { name: "Change password" }).click();
    await dialog().getByLabel("Current password").fill(PASSWORD);
    await dialog().getByLabel("New password", { exact: true }).fill(NEW);
    await dialog().getByLabel("New password again").fill(NEW);
    await dialog().getByRole("button", { name: "Change password" }).click();
    await page.getByText("Your password is changed.").waitFor();
  });

  it("sees where they are signed in and what happened, and ends what is not theirs", async () => {
    await begin();
    await page.getByText("An API key was made: dashboard").waitFor();
    await page.getByText("this one").waitFor();
    await page.getByRole("button", { name: "End Edge on Windows from 192.0.2.17" }).click();
    await page.getByText("Edge on Windows", { exact: true }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "End all others" }).click();
    await page.getByText("sluice", { exact: true }).waitFor({ state: "detached" });
    expect(stub.state.signIns.map(({ id }) => id)).toEqual(["one"]);
    expect(await context.cookies()).toEqual([]);
  });
});
