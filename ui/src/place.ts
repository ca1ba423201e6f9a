/** Where in a YAML text a problem is, as far as its words tell. */
import type { Problem } from "./problem";

/** Return the lines (from 1) on which the items of `steps:` begin. */
function stepLines(lines: readonly string[]): number[] {
  const found: number[] = [];
  let inside = false;
  let indent = -1;
  lines.forEach((line, index) => {
    if (/^steps\s*:/.test(line)) {
      inside = true;
      indent = -1;
    } else if (inside && /^[^\s#-]/.test(line)) inside = false;
    else if (inside) {
      const item = /^(\s*)-\s/.exec(line);
      if (!item) return;
      const depth = item[1]?.length ?? 0;
      if (indent < 0) indent = depth;
      if (depth === indent) found.push(index + 1);
    }
  });
  return found;
}

function quote(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Return the line of the step or key that `said` names within `lines`, counted from 1. */
function within(said: string, lines: readonly string[]): number | undefined {
  const steps = stepLines(lines);
  const at = /\bsteps\[(\d+)\]/.exec(said);
  if (at) return steps[Number(at[1])];
  const named = /\bstep '?([\w-]+)/.exec(said)?.[1];
  if (named) {
    const name = new RegExp(`\\bname:\\s*["']?${quote(named)}["']?\\s*(,|\\}|#|$)`);
    const found = lines.findIndex((line) => name.test(line));
    if (found >= 0) return found + 1;
    // A step without a name is called by its place, alone or after its type: "3", "write-6".
    const counted = /^(?:[a-z_]+-)?(\d+)$/.exec(named)?.[1];
    if (counted) return steps[Number(counted) - 1];
  }
  const key = /(?:^|; )([a-z_]\w*)(?:[.[][\w.[\]]*)?: /.exec(said)?.[1];
  const found = key ? lines.findIndex((line) => new RegExp(`^${quote(key)}\\s*:`).test(line)) : -1;
  return found >= 0 ? found + 1 : undefined;
}

/**
 * Return the line (from 1) that `problem` speaks of, or `undefined` when its words do not tell. The server names the
 * line of the key; where it knows none, the step or key in its message is looked for.
 */
export function lineOf(problem: Problem, source: string): number | undefined {
  const lines = source.split("\n");
  const told = /\bline (\d+)/.exec(problem.where)?.[1];
  if (told) return Number(told) >= 1 && Number(told) <= lines.length ? Number(told) : undefined;
  return within(problem.message, lines) ?? within(problem.where, lines);
}
