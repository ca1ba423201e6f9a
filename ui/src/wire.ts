/** How a question's address is written, and how an answer's body is read. */
import { Problem, readProblem } from "./problem";
import { prove } from "./proof";

export interface Call {
  body?: unknown;
  query?: Record<string, string | number | undefined>;
  signal?: AbortSignal;
}

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

/** Milliseconds after which a question counts as unanswered; three times the longest poll. */
const PATIENCE = 60_000;
/** Milliseconds by which this machine's clock may be wrong before proofs are made by the server's. */
const SKEW = 5_000;

/** The way to the server: each request with the proof of its key, by the server's clock. It holds no token. */
export class Wire {
  #base: string;
  /** Milliseconds that the server's clock is ahead of ours. */
  #skew = 0;

  constructor(base: string) {
    this.#base = base;
  }

  /** Ask with an access token and the key it is bound to, where there are such; return the decoded body. */
  async send(
    method: string,
    path: string,
    call: Call,
    access: string,
    pair: CryptoKeyPair | undefined,
  ): Promise<unknown> {
    const before = this.#skew;
    const answer = await this.#ask(method, path, call, access, pair);
    // A wrong clock makes proofs that are refused: tell the time by the server's clock, and ask once more.
    if (answer.status === 401 && pair && Math.abs(this.#skew - before) > SKEW)
      return this.#finish(await this.#ask(method, path, call, access, pair));
    return this.#finish(answer);
  }

  async #finish(answer: Response): Promise<unknown> {
    const body = await read(answer);
    if (!answer.ok) throw readProblem(answer.status, body);
    return body;
  }

  async #ask(
    method: string,
    path: string,
    call: Call,
    access: string,
    pair: CryptoKeyPair | undefined,
  ): Promise<Response> {
    const url = address(this.#base, path, call.query);
    const headers: Record<string, string> = { accept: "application/json" };
    if (call.body !== undefined) headers["content-type"] = "application/json";
    if (pair) headers.dpop = await prove(pair, method, url, access, Date.now() + this.#skew);
    if (access) headers.authorization = `DPoP ${access}`;
    try {
      const answer = await fetch(url, {
        method,
        headers,
        credentials: "omit",
        cache: "no-store",
        referrerPolicy: "no-referrer",
        redirect: "error",
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal: AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(call.signal ? [call.signal] : [])]),
      });
      const told = Date.parse(answer.headers.get("date") ?? "");
      if (!Number.isNaN(told) && Math.abs(told - Date.now() - this.#skew) > SKEW) this.#skew = told - Date.now();
      return answer;
    } catch (fault) {
      if (call.signal?.aborted) throw fault;
      throw new Problem({
        code: "unreachable",
        status: 0,
        title: "The server does not answer.",
        hint: "Check that it runs and that this machine can reach it.",
      });
    }
  }
}
