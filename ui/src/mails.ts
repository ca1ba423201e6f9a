/** What a mail is about, and how it stands, in words. */
import type { Tone } from "./parts/Pill";

const KINDS: Record<string, string> = {
  invitation: "Invitation",
  reset: "New password",
  email: "New address",
  test: "Test",
};

/** `notice.factor_reset` is a notice of what happened to an account. */
export function mailWords(kind: string): string {
  const notice = kind.startsWith("notice.") ? kind.slice("notice.".length) : undefined;
  return notice === undefined ? (KINDS[kind] ?? kind) : `Notice: ${notice.replaceAll("_", " ")}`;
}

const STATES: Record<string, Tone> = { sent: "ok", waiting: "warn", failed: "bad" };

export const mailTone = (state: string): Tone => STATES[state] ?? "plain";

const RELAYS: Record<string, readonly [Tone, string]> = {
  ok: ["ok", "on"],
  failing: ["bad", "the last mail failed"],
};

/** How the relay stands, as `GET /health` tells it. */
export const relayWords = (state: string): readonly [Tone, string] => RELAYS[state] ?? ["plain", "not set up"];
