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

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Return the line (from 1) that `problem` speaks of, or `undefined` when the text does not tell. */
export function lineOf(problem: Problem, source: string): number | undefined {
  const lines = source.split("\n");
  const said = `${problem.where} ${problem.message}`;
  const within = (line: number | undefined) => (line && line >= 1 && line <= lines.length ? line : undefined);

  const plain = /\bline (\d+)/.exec(said);
  if (plain) return within(Number(plain[1]));

  const steps = stepLines(lines);
  const at = /\bsteps\[(\d+)\]/.exec(said);
  if (at) return within(steps[Number(at[1])]);
  const named = /\bstep '?([\w-]+)/.exec(said)?.[1];
  if (named) {
    const found = lines.findIndex((line) =>
      new RegExp(`\\bname:\\s*["']?${escape(named)}["']?\\s*(,|\\}|#|$)`).test(line),
    );
    if (found >= 0) return found + 1;
    const counted = /^(?:[a-z]+-)?(\d+)$/.exec(named)?.[1];
    if (counted) return within(steps[Number(counted) - 1]);
  }
  const key = /(?:^|[\s:])([a-z_]\w*)(?:[.[][\w.[\]]*)?: /.exec(said)?.[1];
  if (key) {
    const found = lines.findIndex((line) => new RegExp(`^${escape(key)}\\s*:`).test(line));
    if (found >= 0) return found + 1;
  }
  return undefined;
}
