import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { mailTone, mailWords, relayWords } from "./mails";

describe("a mail", () => {
  it("is told by what it is about", () => {
    expect(["invitation", "reset", "email", "test"].map(mailWords)).toEqual([
      "Invitation",
      "New password",
      "New address",
      "Test",
    ]);
    expect(mailWords("notice.factor_reset")).toBe("Notice: factor reset");
    expect(mailWords("of a later version")).toBe("of a later version");
  });

  it("has a tone for each state that the server knows", () => {
    const source = readFileSync(new URL("../../src/sluicegate/store/outbox.py", import.meta.url), "utf8");
    const states = [...source.matchAll(/^ {4}[A-Z]+ = "([a-z]+)"$/gm)].map((found) => found[1] ?? "");
    expect(Object.fromEntries(states.map((state) => [state, mailTone(state)]))).toEqual({
      waiting: "warn",
      sent: "ok",
      failed: "bad",
      withdrawn: "plain",
    });
  });

  it("goes through a relay that is on, failing, or none", () => {
    expect(["ok", "failing", "off"].map((state) => relayWords(state)[0])).toEqual(["ok", "bad", "plain"]);
  });
});
