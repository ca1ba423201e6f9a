/** A run as its events tell it: a pure fold, fed by a long poll. */
import type { Progress, RunEvent, RunState } from "./api";
import { bytes, count } from "./format";

export interface LogLine {
  seq: number;
  at: string;
  level: string;
  step: string;
  text: string;
}

export interface Live {
  /** The last event seen; ask for what comes after it. */
  seq: number;
  progress: Progress | undefined;
  /** Rows a second of each step, smoothed over its last reports. */
  rates: Record<string, number>;
  progressAt: string;
  state: RunState | undefined;
  log: readonly LogLine[];
  /** Older lines that were let go to keep the page quick. */
  dropped: number;
}

export const EMPTY: Live = {
  seq: 0,
  progress: undefined,
  rates: {},
  progressAt: "",
  state: undefined,
  log: [],
  dropped: 0,
};
export const LOG_MAX = 2000;

const ENDS: ReadonlySet<string> = new Set(["succeeded", "finished_with_rejects", "failed", "cancelled"]);

/** Tell whether a run in this state will never change again. */
export function ended(state: RunState | undefined): boolean {
  return state !== undefined && ENDS.has(state);
}

function said(body: Record<string, unknown>, key: string): string {
  const value = body[key];
  return value === null || value === undefined ? "" : String(value);
}

/** Return the key-value rest of an event's body as one line. */
function rest(body: Record<string, unknown>, without: readonly string[]): string {
  return Object.entries(body)
    .filter(([key, value]) => !without.includes(key) && value !== null && value !== undefined && value !== "")
    .map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(" ");
}

function lineOf(event: RunEvent): LogLine | undefined {
  const body = event.body as Record<string, unknown>;
  const line = (level: string, text: string) => ({
    seq: event.seq,
    at: event.at,
    level,
    step: said(body, "step"),
    text,
  });
  switch (event.kind) {
    case "log": {
      const tail = rest(body, ["message", "level", "step"]);
      return line(said(body, "level") || "info", [said(body, "message"), tail].filter(Boolean).join("  "));
    }
    case "state":
      return line("state", [said(body, "state"), rest(body, ["state", "step"])].filter(Boolean).join("  "));
    case "schema": {
      const columns = typeof body.columns === "object" && body.columns !== null ? Object.entries(body.columns) : [];
      return line("schema", columns.map(([name, type]) => `${name} ${type}`).join(", ") || rest(body, ["step"]));
    }
    case "receipt":
      return line("landed", landed(body));
    case "reject":
      return line("reject", [rest(body, ["step", "reason"]), said(body, "reason")].filter(Boolean).join("  "));
    default:
      return undefined;
  }
}

/** Say what a destination shows now, as the command line says it. */
function landed(body: Record<string, unknown>): string {
  const rows = typeof body.rows === "number" ? `${count(body.rows)} rows` : "";
  const much = typeof body.bytes === "number" ? bytes(body.bytes) : "";
  const again = body.repeated === true ? "was there already, not loaded twice" : "";
  return [rows, much, said(body, "guarantee"), again].filter(Boolean).join(", ");
}

/** The share of a rate that its newest measurement has: reports come four times a second and jump. */
const FRESH = 0.35;

/** Return each step's rate after `progress`; steps that are not in it have ended, and have none. */
function ratesOf(before: Live, progress: Progress, at: string): Record<string, number> {
  const seconds = (Date.parse(at) - Date.parse(before.progressAt)) / 1000;
  if (!before.progress || !(seconds > 0)) return before.rates;
  const rates: Record<string, number> = {};
  for (const [step, now] of Object.entries(progress.steps)) {
    const rows = now.rows - (before.progress.steps[step]?.rows ?? 0);
    const old = before.rates[step];
    if (rows >= 0) rates[step] = old === undefined ? rows / seconds : old + FRESH * (rows / seconds - old);
  }
  return rates;
}

/** Return what is known after `events`. Events seen before are passed over, so a repeated answer changes nothing. */
export function fold(live: Live, events: readonly RunEvent[]): Live {
  let now = live;
  const lines: LogLine[] = [];
  for (const event of events) {
    if (event.seq <= now.seq) continue;
    now = { ...now, seq: event.seq };
    if (event.kind === "progress") {
      // Each segment of a run reports its own steps only; those of earlier segments stay as they ended.
      const steps = { ...now.progress?.steps, ...event.body.steps };
      now = {
        ...now,
        rates: ratesOf(now, event.body, event.at),
        progress: { ...event.body, steps },
        progressAt: event.at,
      };
      continue;
    }
    if (event.kind === "state" && event.body.state) now = { ...now, state: event.body.state };
    const line = lineOf(event);
    if (line) lines.push(line);
  }
  if (lines.length === 0) return now;
  const all = [...now.log, ...lines];
  const over = Math.max(0, all.length - LOG_MAX);
  return { ...now, log: over ? all.slice(over) : all, dropped: now.dropped + over };
}
