/** A flow's steps, as far as the page of a run needs them. */
import type { Run, StepProgress } from "./api";

const READING = new Set(["read"]);
const WRITING = new Set(["write", "archive"]);

/** Return the type of each step by its name, in the flow's order. A step without a name is called by type and place. */
export function stepTypes(body: Record<string, unknown>): Map<string, string> {
  const types = new Map<string, string>();
  if (!Array.isArray(body.steps)) return types;
  body.steps.forEach((step: unknown, index) => {
    if (typeof step !== "object" || step === null) return;
    const [type, told] = Object.entries(step)[0] ?? [];
    if (!type) return;
    const name = (told as { name?: unknown } | null)?.name;
    types.set(typeof name === "string" ? name : `${type}-${index + 1}`, type);
  });
  return types;
}

/** Return a run's counts so far from its steps' reports; what no step of that kind has reported is left out. */
export function totals(steps: Record<string, StepProgress>, types: ReadonlyMap<string, string>): Run["counts"] {
  const counts: Run["counts"] = {};
  for (const [name, step] of Object.entries(steps)) {
    const type = types.get(name) ?? "";
    if (READING.has(type)) {
      counts.read = (counts.read ?? 0) + step.rows;
      counts.bytes = (counts.bytes ?? 0) + step.bytes;
    }
    if (WRITING.has(type)) counts.written = (counts.written ?? 0) + step.rows;
    counts.rejected = (counts.rejected ?? 0) + step.rejected;
  }
  return counts;
}
