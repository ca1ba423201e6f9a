import { Problem, readProblem } from "./problem";

/** What sign-in, refresh and the first administrator's form answer with. `expires_in` is in seconds. */
export interface Grant {
  access: string;
  expires_in: number;
  refresh: string;
  must_change: boolean;
}

export interface Credentials {
  tenant?: string;
  email: string;
  password: string;
}

/** `out`: nobody. `change`: known, but must choose a new password first. `in`: signed in. */
export type Phase = "out" | "change" | "in";

export interface Snapshot {
  phase: Phase;
  /** Why the person is signed out, when they did not ask for it. */
  notice: string;
}

export interface Call {
  body?: unknown;
  query?: Record<string, string | number | undefined>;
  signal?: AbortSignal;
}

const PREFIX = "/api/v1";
/** Seconds before its end at which an access token is replaced. */
const MARGIN = 30;
/** Milliseconds after which a question counts as unanswered; three times the longest poll. */
const PATIENCE = 60_000;
const ENDED = "Your session has ended. Sign in again.";

function address(base: string, path: string, query: Call["query"]): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(key, String(value));
  const tail = search.toString();
  return `${base}${PREFIX}${path}${tail ? `?${tail}` : ""}`;
}

async function read(answer: Response): Promise<unknown> {
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

/**
 * The only holder of tokens. They live in this object's private fields and nowhere else: no cookie, no web storage,
 * no URL. A reload therefore signs in again; that is the accepted price.
 */
export class Session {
  #base: string;
  #access = "";
  #refresh = "";
  #deadline = 0;
  /** Who signed in here; without the password. */
  #identity: { tenant?: string; email: string } | undefined;
  #renewing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #snapshot: Snapshot = { phase: "out", notice: "" };
  #watchers = new Set<() => void>();

  /** `base` is the server's origin; empty in the browser, where it is the page's own. */
  constructor(base = "") {
    this.#base = base;
  }

  readonly snapshot = (): Snapshot => this.#snapshot;

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  async login(credentials: Credentials): Promise<void> {
    const grant = (await this.#send("POST", "/session/login", { body: credentials })) as Grant;
    this.#identity = { email: credentials.email, ...(credentials.tenant ? { tenant: credentials.tenant } : {}) };
    this.#accept(grant);
    this.#move(grant.must_change ? "change" : "in");
  }

  /** Create the first administrator with the code that the server printed at its start, and sign in. */
  async bootstrap(form: { code: string; email: string; name: string; password: string }): Promise<void> {
    const grant = (await this.#send("POST", "/session/bootstrap", { body: form })) as Grant;
    this.#identity = { email: form.email };
    this.#accept(grant);
    this.#move("in");
  }

  /** Change the password, which makes every token void, this page's too; so sign in again with the new one. */
  async changePassword(old: string, fresh: string): Promise<void> {
    const identity = this.#identity;
    if (!identity) throw new Problem({ code: "unauthenticated", status: 401, title: ENDED });
    await this.request("POST", "/session/password", { body: { old, new: fresh } });
    await this.login({ ...identity, password: fresh });
  }

  /** Forget the tokens at once and tell the server; the person is signed out here even if the server is unreachable. */
  async logout(): Promise<void> {
    const refresh = this.#refresh;
    const access = this.#access;
    this.#forget("");
    if (refresh) await this.#send("POST", "/session/logout", { body: { refresh } }, access);
  }

  /**
   * Call the API as the signed-in person and return the decoded body. Renews the access token when it is about to end,
   * and once more when the server refuses it.
   */
  async request(method: string, path: string, call: Call = {}): Promise<unknown> {
    if (!this.#access) throw new Problem({ code: "unauthenticated", status: 401, title: ENDED });
    if (performance.now() > this.#deadline - MARGIN * 1000) await this.#renew();
    const used = this.#access;
    try {
      return await this.#send(method, path, call, used);
    } catch (fault) {
      if (!(fault instanceof Problem) || fault.status !== 401 || !this.#refresh) throw fault;
      if (this.#access === used) await this.#renew();
      return await this.#send(method, path, call, this.#access);
    }
  }

  /** Ask something that needs no token (health). */
  async open(path: string, signal?: AbortSignal): Promise<unknown> {
    return this.#send("GET", path, signal ? { signal } : {});
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#exchange().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #exchange(): Promise<void> {
    const spent = this.#refresh;
    let grant: Grant;
    try {
      grant = (await this.#send("POST", "/session/refresh", { body: { refresh: spent } })) as Grant;
    } catch (fault) {
      const refused = fault instanceof Problem && fault.status >= 400 && fault.status < 500 && fault.status !== 429;
      if (refused && this.#refresh === spent) this.#forget(ENDED);
      throw fault;
    }
    // Signed out meanwhile: a late answer must not sign the person in again.
    if (this.#refresh !== spent) throw new Problem({ code: "unauthenticated", status: 401, title: ENDED });
    this.#accept(grant);
    if (grant.must_change) this.#move("change");
  }

  #accept(grant: Grant): void {
    this.#access = grant.access;
    this.#refresh = grant.refresh;
    this.#deadline = performance.now() + grant.expires_in * 1000;
    clearTimeout(this.#timer);
    const wait = Math.max(grant.expires_in - MARGIN, 1) * 1000;
    this.#timer = setTimeout(() => {
      // A refusal has already moved the session to `out`; an unreachable server is met again by the next request.
      this.#renew().catch(() => undefined);
    }, wait);
  }

  #forget(notice: string): void {
    clearTimeout(this.#timer);
    this.#access = "";
    this.#refresh = "";
    this.#deadline = 0;
    this.#identity = undefined;
    this.#move("out", notice);
  }

  #move(phase: Phase, notice = ""): void {
    this.#snapshot = { phase, notice };
    for (const watcher of this.#watchers) watcher();
  }

  async #send(method: string, path: string, call: Call, access = ""): Promise<unknown> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (call.body !== undefined) headers["content-type"] = "application/json";
    if (access) headers.authorization = `Bearer ${access}`;
    let answer: Response;
    try {
      answer = await fetch(address(this.#base, path, call.query), {
        method,
        headers,
        credentials: "omit",
        cache: "no-store",
        referrerPolicy: "no-referrer",
        redirect: "error",
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal: AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(call.signal ? [call.signal] : [])]),
      });
    } catch (fault) {
      if (call.signal?.aborted) throw fault;
      throw new Problem({
        code: "unreachable",
        status: 0,
        title: "The server does not answer.",
        hint: "Check that it runs and that this machine can reach it.",
      });
    }
    const body = await read(answer);
    if (!answer.ok) throw readProblem(answer.status, body);
    return body;
  }
}

/** The session of this page. */
export const session = new Session();
