/** How a question's address is written, and how an answer's body is read. */
import { Problem } from "./problem";

const PREFIX = "/api/v1";

export type Query = Record<string, string | number | undefined> | undefined;

export function address(base: string, path: string, query: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(key, String(value));
  const tail = search.toString();
  return `${base}${PREFIX}${path}${tail ? `?${tail}` : ""}`;
}

export async function read(answer: Response): Promise<unknown> {
  const body = await answer.text();
  if (!body) return undefined;
  try {
    return JSON.parse(body);
  } catch {
    // Not JSON: a proxy's error page. The status tells the rest.
    if (answer.ok)
      throw new Problem({ code: "malformed", status: answer.status, title: "The server's answer is not JSON." });
    return undefined;
  }
}
