import { tellProof } from "./elsewhere";
import { type Identity, type Journey, type Keep, keepInBrowser, keepInMemory } from "./keep";
import { Problem } from "./problem";
import { newPair } from "./proof";
import { type Call, Wire } from "./wire";

/** What sign-in, refresh and the first administrator's form answer with. `expires_in` is in seconds. */
export interface Grant {
  access: string;
  expires_in: number;
  /** Empty while a second factor is owed. */
  refresh: string;
  must_change: boolean;
  /** How far the person has come: what `access` is good for. */
  standing?: string;
}

/** What a SuperAdmin's going into another tenant answers with; the refresh token stays. */
interface Switched {
  access: string;
  expires_in: number;
}

/** Asks the person to prove once more that it is them; rejects when they would rather not. */
export type Prover = () => Promise<void>;

export interface Credentials {
  tenant?: string;
  email: string;
  password: string;
}

/** What stands in the address when the browser comes back from a provider of single sign-on. */
export interface Back {
  /** The last part of the path: whose provider it is. */
  at: string;
  code: string;
  state: string;
  iss?: string;
}

/**
 * `waiting`: a reload looks for its session. `out`: nobody. `change`: must choose a new password. `factor`: owes a
 * second factor. `enrol`: must set one up. `in`: signed in. `proved`: this window has done what it was opened for.
 */
export type Phase = "waiting" | "out" | "change" | "factor" | "enrol" | "in" | "proved";

const PHASES: Record<string, Phase> = { password: "change", factor: "factor", enrol: "enrol" };
const phaseOf = (grant: Grant): Phase => PHASES[grant.standing ?? (grant.must_change ? "password" : "")] ?? "in";

export interface Snapshot {
  phase: Phase;
  /** Why the person is signed out, when they did not ask for it. */
  notice: string;
  /** Counts the times that the tenant was switched, here or in another tab: what was known of the one before is void. */
  place: number;
}

/** Seconds before its end at which an access token is replaced. */
const MARGIN = 30;
const CHANNEL = "sluicegate-session";
/** What tabs tell each other. */
type Word = "out" | "moved";
const LOST = { code: "unauthenticated", status: 401, title: "Single sign-on did not finish. Begin again." };
const ENDED = "Your session has ended. Sign in again.";

/**
 * The only holder of tokens. The access token lives in a private field and nowhere else: no cookie, no web storage, no
 * URL. The refresh token and the key it is bound to are kept in IndexedDB, so that a reload stays signed in; the key
 * cannot be exported, so neither is of use elsewhere.
 */
export class Session {
  #wire: Wire;
  #keep: Keep;
  #pair: CryptoKeyPair | undefined;
  #access = "";
  #refresh = "";
  #deadline = 0;
  /** Who signed in here; without the password. */
  #identity: Identity | undefined;
  #renewing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #snapshot: Snapshot = { phase: "out", notice: "", place: 0 };
  #watchers = new Set<() => void>();
  #others: BroadcastChannel | undefined;
  #prover: Prover | undefined;

  /** `base` is the server's origin, by default the page's own. */
  constructor(base = globalThis.location?.origin ?? "", keep: Keep = keepInMemory()) {
    this.#wire = new Wire(base);
    this.#keep = keep;
  }

  /** Take up the session of before a reload, or of another tab, and follow the other tabs' signing out. */
  async resume(): Promise<void> {
    this.#move("waiting");
    this.#others ??= this.#listen();
    const kept = await this.#keep.load().catch(() => undefined);
    if (!kept) return this.#move("out");
    this.#pair = kept.pair;
    this.#refresh = kept.refresh;
    this.#identity = kept.identity;
    try {
      await this.#renew();
      if (this.#snapshot.phase === "waiting") this.#move("in");
    } catch {
      // Refused: already out, with its reason. Unreachable: ask again, for what is kept may still be good.
      if (this.#snapshot.phase === "waiting") this.#move("out", "The server does not answer. Reload to try again.");
    }
  }

  #listen(): BroadcastChannel {
    const others = new BroadcastChannel(CHANNEL);
    others.onmessage = ({ data }: MessageEvent<Word>) => {
      if (!this.#refresh) return;
      if (data === "moved") {
        this.#deadline = 0; // the token of the place before is void
        this.#arrived();
      } else this.#forget("You signed out in another tab.");
    };
    return others;
  }

  readonly snapshot = (): Snapshot => this.#snapshot;

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  async login(credentials: Credentials): Promise<void> {
    await this.#begin();
    const grant = (await this.#send("POST", "/session/login", { body: credentials })) as Grant;
    this.#identity = { email: credentials.email, ...(credentials.tenant ? { tenant: credentials.tenant } : {}) };
    await this.#accept(grant);
    this.#move(phaseOf(grant));
  }

  /** Begin signing in by single sign-on; return where the browser must go. What is needed on its return is kept. */
  async depart(tenant: string): Promise<string> {
    await this.#begin();
    const { url } = (await this.#send("POST", "/sso/begin", { body: { tenant } })) as { url: string };
    return await this.#leave(url, "enter", tenant);
  }

  /** Begin to prove by single sign-on that it is still this person; return where a window must go. */
  async departAgain(code: string): Promise<string> {
    const body = code ? { code } : {};
    const { url } = (await this.#send("POST", "/sso/prove", { body }, this.#access)) as { url: string };
    return await this.#leave(url, "prove", this.#identity?.tenant ?? "");
  }

  async #leave(url: string, purpose: Journey["purpose"], tenant: string): Promise<string> {
    const state = new URL(url).searchParams.get("state");
    if (!url.startsWith("https://") || !state || !this.#pair)
      throw new Problem({ ...LOST, title: "Single sign-on did not begin." });
    await this.#keep.depart(state, { pair: this.#pair, tenant, purpose, at: Date.now() });
    return url;
  }

  /** Go on where a journey to a provider left off: sign in, or bring the fresh proof. `undefined`: it sent nobody. */
  async arrive(back: Back | undefined): Promise<void> {
    this.#move("waiting");
    const journey = back && (await this.#keep.arrive(back.state).catch(() => undefined));
    if (!back || !journey) {
      await this.resume();
      if (this.#snapshot.phase === "out") this.#move("out", LOST.title);
      return;
    }
    try {
      if (journey.purpose === "prove") {
        await this.resume();
        await this.request("POST", "/sso/confirm", { body: back });
        tellProof();
        return this.#move("proved");
      }
      this.#pair = journey.pair;
      const grant = (await this.#send("POST", "/sso/finish", { body: back })) as Grant;
      this.#others ??= this.#listen();
      this.#identity = { email: "", tenant: journey.tenant, sso: true };
      await this.#accept(grant);
      this.#move(phaseOf(grant));
    } catch (fault) {
      this.#move("out", fault instanceof Problem ? `${fault.message} ${fault.hint ?? ""}`.trim() : LOST.title);
    }
  }

  /** Whether the person came by single sign-on. */
  get bySso(): boolean {
    return this.#identity?.sso ?? false;
  }

  /** Finish signing in with the code of an app, or a recovery code. */
  async giveFactor(code: string): Promise<void> {
    const grant = (await this.#send("POST", "/session/factor", { body: { code } }, this.#access)) as Grant;
    await this.#accept(grant);
    this.#move(phaseOf(grant));
  }

  /** Work in `tenant`, or in none: for SuperAdmins. The token of the place before is void. */
  async switchTo(tenant: string | undefined): Promise<void> {
    const told = (await this.request("POST", "/session/switch", { body: tenant ? { tenant } : {} })) as Switched;
    const { tenant: _left, ...whom } = this.#identity ?? { email: "" };
    const identity = { ...whom, ...(tenant ? { tenant } : {}) };
    this.#identity = identity;
    this.#access = told.access;
    this.#deadline = performance.now() + told.expires_in * 1000;
    // The refresh token that is kept may be a younger one than ours, of another tab: it stays as it is.
    await alone(async () => {
      const kept = await this.#keep.load();
      if (kept) await this.#keep.save({ ...kept, identity });
    }).catch(() => undefined);
    this.#tell("moved");
    this.#arrived();
  }

  /** Whatever was known of the tenant before is void. */
  #arrived(): void {
    this.#snapshot = { ...this.#snapshot, place: this.#snapshot.place + 1 };
    for (const watcher of this.#watchers) watcher();
  }

  /** Look again how far the person has come: after a second factor has been set up. */
  async settle(): Promise<void> {
    await this.#renew();
  }

  /** Prove once more that it is this person. */
  async prove(password: string, code: string): Promise<void> {
    await this.#send("POST", "/session/prove", { body: { password, ...(code ? { code } : {}) } }, this.#access);
  }

  /** Have `prover` asked when the server wants a fresh proof; `undefined` when nobody can be asked. */
  onStepUp(prover: Prover | undefined): void {
    this.#prover = prover;
  }

  /** Sign-in begins with a key of its own, so that nothing ties it to who was here before. */
  async #begin(): Promise<void> {
    this.#pair = await newPair();
  }

  /** Create the first administrator with the code that the server printed at its start, and sign in. */
  async bootstrap(form: { code: string; email: string; name: string; password: string }): Promise<void> {
    await this.#begin();
    const grant = (await this.#send("POST", "/session/bootstrap", { body: form })) as Grant;
    this.#identity = { email: form.email };
    await this.#accept(grant);
    this.#move("in");
  }

  /** Change the password, which makes every token void, this page's too; so sign in again with the new one. */
  async changePassword(old: string, fresh: string): Promise<void> {
    // The address may have changed since the sign-in; who must choose a password first cannot ask.
    const identity = this.#snapshot.phase === "in" ? await this.#whom() : this.#identity;
    if (!identity) throw new Problem({ code: "unauthenticated", status: 401, title: ENDED });
    await this.request("POST", "/session/password", { body: { old, new: fresh } });
    await this.login({ ...identity, password: fresh });
  }

  /** Accept an invitation with the token of its link, and be signed in. */
  async acceptInvitation(form: { token: string; name: string; password: string }): Promise<void> {
    await this.#begin();
    const grant = (await this.#send("POST", "/invitations/accept", { body: form })) as Grant;
    this.#identity = { email: "" }; // the link does not tell it; the server does when it is needed
    await this.#accept(grant);
    this.#move(phaseOf(grant));
  }

  async #whom(): Promise<Identity> {
    const who = (await this.request("GET", "/session/whoami")) as { email: string; tenant_name: string | null };
    return { email: who.email, ...(who.tenant_name ? { tenant: who.tenant_name } : {}) };
  }

  /** Forget the tokens at once and tell the server; the person is signed out here even if the server is unreachable. */
  async logout(): Promise<void> {
    const refresh = this.#refresh;
    const access = this.#access;
    const pair = this.#pair;
    this.#forget("");
    this.#tell("out");
    if (refresh && pair) await this.#send("POST", "/session/logout", { body: { refresh } }, access, pair);
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
      if (fault instanceof Problem && fault.code === "step_up" && this.#prover) {
        await this.#prover();
        return await this.#send(method, path, call, this.#access);
      }
      if (!(fault instanceof Problem) || fault.status !== 401 || fault.code === "step_up" || !this.#refresh)
        throw fault;
      if (this.#access === used) await this.#renew();
      return await this.#send(method, path, call, this.#access);
    }
  }

  /** Ask something that needs no token (health). */
  async open(path: string, signal?: AbortSignal): Promise<unknown> {
    return this.#send("GET", path, signal ? { signal } : {});
  }

  /** Do something whose proof lies in `body`: a link's token. */
  async openly(path: string, body: unknown): Promise<void> {
    await this.#wire.send("POST", path, { body }, "", undefined);
  }

  #renew(): Promise<void> {
    this.#renewing ??= alone(() => this.#exchange()).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #exchange(): Promise<void> {
    // Another tab may have traded the token meanwhile: its child is kept.
    const kept = await this.#keep.load().catch(() => undefined);
    if (kept && this.#refresh) {
      this.#refresh = kept.refresh;
      this.#identity = kept.identity;
    }
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
    await this.#accept(grant);
    const phase = phaseOf(grant);
    if (phase !== "in" || this.#snapshot.phase !== "waiting") this.#move(phase);
  }

  async #accept(grant: Grant): Promise<void> {
    this.#access = grant.access;
    this.#refresh = grant.refresh;
    this.#deadline = performance.now() + grant.expires_in * 1000;
    clearTimeout(this.#timer);
    if (!grant.refresh) return;
    const wait = Math.max(grant.expires_in - MARGIN, 1) * 1000;
    this.#timer = setTimeout(() => {
      // A refusal has already moved the session to `out`; an unreachable server is met again by the next request.
      this.#renew().catch(() => undefined);
    }, wait);
    if (!this.#pair || !this.#identity) return;
    const kept = { pair: this.#pair, refresh: grant.refresh, identity: this.#identity };
    // A browser that keeps nothing (a private window) signs in again after a reload.
    await this.#keep.save(kept).catch(() => undefined);
    if (!this.#refresh) await this.#keep.clear().catch(() => undefined); // signed out while it was being kept
  }

  #forget(notice: string): void {
    clearTimeout(this.#timer);
    this.#access = "";
    this.#refresh = "";
    this.#deadline = 0;
    this.#identity = undefined;
    this.#pair = undefined;
    this.#keep.clear().catch(() => undefined);
    this.#move("out", notice);
  }

  #tell(word: Word): void {
    this.#others?.postMessage(word);
  }

  #move(phase: Phase, notice = ""): void {
    this.#snapshot = { ...this.#snapshot, phase, notice };
    for (const watcher of this.#watchers) watcher();
  }

  #send(method: string, path: string, call: Call, access = "", pair = this.#pair): Promise<unknown> {
    return this.#wire.send(method, path, call, access, pair);
  }
}

/** One tab at a time trades the refresh token. */
async function alone(work: () => Promise<void>): Promise<void> {
  const locks = globalThis.navigator?.locks;
  await (locks ? locks.request(CHANNEL, work) : work());
}

/** The session of this page. */
export const session = new Session(undefined, "indexedDB" in globalThis ? keepInBrowser() : keepInMemory());
