/** Numbers, sizes and times as an operator reads them. A missing value is a dash, never a zero. */

export const NONE = "–";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Return a count with thin groups: 1234567 → "1,234,567". */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : whole.format(value);
}

/** Return bytes in decimal units with three significant digits at the most: 1536 → "1.54 kB". */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return `${size.toFixed(digits)} ${UNITS[unit]}`;
}

/** Return rows per second: 12345.6 → "12,346 rows/s". */
export function rate(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? NONE : `${whole.format(value)} rows/s`;
}

/** Return a span of milliseconds: "840 ms", "12.4 s", "3 min 05 s", "2 h 07 min". */
export function span(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined || Number.isNaN(milliseconds)) return NONE;
  const past = Math.max(0, milliseconds);
  if (past < 1000) return `${Math.round(past)} ms`;
  if (past < 59_950) return `${(past / 1000).toFixed(1)} s`;
  const seconds = Math.round(past / 1000);
  const two = (part: number) => String(part).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** Return how long a run took, or has taken by `now` (milliseconds since 1970). */
export function elapsed(started: string | null, finished: string | null, now: number): string {
  if (!started) return NONE;
  return span((finished ? Date.parse(finished) : now) - Date.parse(started));
}

/** Return a moment as local date and time to the second: "2026-11-23 14:05:09". */
export function moment(iso: string | null | undefined): string {
  if (!iso) return NONE;
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const two = (part: number) => String(part).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${clock(iso)}`;
}

/** Return the local time of day: "14:05:09". */
export function clock(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** Return how long ago a moment was, for a list: "just now", "4 min ago", "3 h ago", then the date. */
export function ago(iso: string | null | undefined, now: number): string {
  if (!iso) return NONE;
  const past = now - Date.parse(iso);
  if (Number.isNaN(past)) return iso;
  if (past < 45_000) return "just now";
  if (past < 3_570_000) return `${Math.max(1, Math.round(past / 60_000))} min ago`;
  if (past < 86_400_000) return `${Math.round(past / 3_600_000)} h ago`;
  return moment(iso).slice(0, 10);
}

/** Return how far ahead a moment is: "in 5 min", "in 3 h", "in 29 days", then the date; `ago` once it is past. */
export function until(iso: string | null | undefined, now: number): string {
  if (!iso) return NONE;
  const ahead = Date.parse(iso) - now;
  if (Number.isNaN(ahead)) return iso;
  if (ahead <= 0) return ago(iso, now);
  if (ahead < 3_570_000) return `in ${Math.max(1, Math.round(ahead / 60_000))} min`;
  if (ahead < 86_400_000) return `in ${Math.round(ahead / 3_600_000)} h`;
  const days = Math.round(ahead / 86_400_000);
  return days === 1 ? "in 1 day" : days < 100 ? `in ${days} days` : moment(iso).slice(0, 10);
}

/** Return any JSON value as one short line of text. */
export function inline(value: unknown): string {
  if (value === null || value === undefined) return NONE;
  return typeof value === "string" ? value : JSON.stringify(value);
}
