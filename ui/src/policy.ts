/** A tenant's policy as its form shows it: what each setting means, what may be put in, and what is sent. */
import type { Schema } from "./ask";
import { readNetworks } from "./networks";

export type Setting = Schema["Setting"];
type Value = Setting["value"];

interface Meaning {
  title: string;
  note: string;
  /** Which way is stricter, for numbers. */
  stricter?: "less" | "more";
  min?: number;
  max?: number;
  /** For lists: what stands in an empty field, and what an empty list means. */
  example?: string;
  empty?: string;
}

const MONTH = 43_200;

const MEANINGS: Readonly<Record<string, Meaning>> = {
  factor_required: {
    title: "Second factor for everybody",
    note: "Who signs in with a password needs a code of an app as well; who has none sets one up first.",
  },
  sso_required: {
    title: "Single sign-on for everybody",
    note: "People come by the tenant’s provider and by no password. It holds neither API keys nor SuperAdmins.",
  },
  password_length: {
    title: "Length of passwords",
    note: "Characters that a new password has at the least; three fewer beside a second factor.",
    stricter: "more",
    min: 15,
    max: 64,
  },
  session_minutes: {
    title: "Minutes to the next sign-in",
    note: "After that a person signs in again, whatever they do.",
    stricter: "less",
    min: 5,
    max: MONTH,
  },
  idle_minutes: {
    title: "Minutes of silence",
    note: "Without a sign of life for that long, a person signs in again.",
    stricter: "less",
    min: 5,
    max: MONTH,
  },
  addresses: {
    title: "Networks",
    note: "From where people and keys may come, one on each line; from anywhere when empty. You cannot leave yourself out.",
    example: "192.0.2.0/24",
    empty: "anywhere",
  },
  key_days: {
    title: "Days of an API key",
    note: "A key lives that long at the most.",
    stricter: "less",
    min: 1,
    max: 3650,
  },
  invitation_hours: {
    title: "Hours of an invitation",
    note: "Its link is good that long at the most.",
    stricter: "less",
    min: 1,
    max: 720,
  },
  key_proof: {
    title: "API keys need a proof",
    note: "A key is exchanged only together with a DPoP proof, so that its token is of no use elsewhere.",
  },
  support_hours: {
    title: "Hours of a support access",
    note: "A SuperAdmin whom you let see rows may do so for that long at the most.",
    stricter: "less",
    min: 1,
    max: 24,
  },
  files_sealed: {
    title: "Files are sealed",
    note: "Flows write files only with a seal. One that does not is neither saved nor run.",
  },
  seals: {
    title: "Kinds of seals",
    note: "Seals that flows may write with, one on each line: age, openpgp, zip. Names can be read in a zip.",
    example: "age",
    empty: "any",
  },
  formats: {
    title: "Formats of files",
    note: "Formats that flows may read and write, one on each line.",
    example: "parquet",
    empty: "any",
  },
  residency: {
    title: "Where data may lie",
    note: "What connections must say as their residency, one on each line, to be used by flows.",
    example: "eu",
    empty: "anywhere",
  },
  guarded: {
    title: "Guarded tags",
    note: "Columns with one of these tags, one on each line, go only to connections that accept it.",
    example: "card",
    empty: "none",
  },
  weakest_tls: {
    title: "Weakest TLS of connections",
    note: "verify-full, verify-ca, require or disable; disable lets plain protocols be used.",
  },
  quarantine_days: {
    title: "Days of quarantined rows",
    note: "Rows that a flow has put into quarantine are gone after that.",
    stricter: "less",
    min: 1,
    max: 3650,
  },
  requests: {
    title: "Work of the tenant",
    note: "As “500/second”: a plain read counts 1, a change 2, a test, listing or preview 10.",
  },
};

/** Return what a setting means; one that this page does not know goes by its own name. */
export function meaningOf(name: string): Meaning {
  return MEANINGS[name] ?? { title: name.replaceAll("_", " "), note: "" };
}

/** Return a value as people read it. */
export function wordsOf(value: Value, name = ""): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.length > 0 ? value.join(", ") : (meaningOf(name).empty ?? "nothing");
  return String(value);
}

/** Return the bounds of a number: what the product allows, and what the installation leaves open. */
export function boundsOf({ name, installation, may }: Setting): { min?: number; max?: number } {
  const { stricter, min, max } = meaningOf(name);
  const bounds = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
  if (may !== "stricter" || typeof installation !== "number") return bounds;
  if (stricter === "less") return { ...bounds, max: installation };
  return stricter === "more" ? { ...bounds, min: installation } : bounds;
}

/** Return the choices for a yes-or-no; only what is stricter where the installation says so. */
export function choicesOf({ installation, may }: Setting): { value: string; label: string }[] {
  const own = may === "free" ? ["yes", "no"] : installation === true ? [] : ["yes"];
  return [
    { value: "", label: `As the installation has it: ${wordsOf(installation)}` },
    ...own.map((each) => ({ value: each, label: each === "yes" ? "Yes" : "No" })),
  ];
}

/** Return what stands in a setting's field: the tenant's own value, or nothing. */
export function fieldOf({ value, origin }: Setting): string {
  if (origin !== "tenant") return "";
  return Array.isArray(value) ? value.join("\n") : typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

/** Return the policy that the fields say: only what the tenant sets itself. */
export function policyOf(
  settings: readonly Setting[],
  fields: Readonly<Record<string, string>>,
): Record<string, boolean | number | string | string[]> {
  const told: Record<string, boolean | number | string | string[]> = {};
  for (const { name, installation, may } of settings) {
    const text = (fields[name] ?? "").trim();
    if (!text || may === "fixed") continue;
    if (Array.isArray(installation)) told[name] = readNetworks(text);
    else if (typeof installation === "boolean") told[name] = text === "yes";
    else told[name] = typeof installation === "number" ? Number(text) : text;
  }
  return told;
}
