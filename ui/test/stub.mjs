/**
 * A stand-in for the server, for tests of the page alone: plain HTTP on loopback, the real headers, the built files,
 * everything in memory. It keeps the rules that the page relies on (rotation, roles, write-only secrets, long poll) and
 * nothing else. `node test/stub.mjs` serves it on port 8400.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { BASE, before, CODE, GRANTS, PASSWORD, seed, sha } from "./seed.mjs";

const STATIC = join(dirname(fileURLToPath(import.meta.url)), "../../src/sluicegate/web/static");

/** The headers of the real server, word for word: the page must live under them. */
export const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".woff": "font/woff",
};

/** What the server shows once. */
export const KEY = "slg_6nVdXkP2sYqT8wZr4mBcLe_Qm7tXw9KfPz3hVn6JdRb2sLy8cGq5eTk1aWu4iMo0xE_0Zk3Lp";
export const SEED = "JBSWY3DPEHPK3PXPMFRGGZDFMZTWQ2LK";
export const CODES = "k7qf-2mzx";

class Fault extends Error {
  constructor(status, code, title, more = {}) {
    super(title);
    this.status = status;
    this.body = { type: `urn:sluicegate:${code}`, code, status, title, ...more };
  }
}

/** Start the stub. Options: `bootstrap` (nobody yet), `empty` (people, but nothing else), `ttl` (seconds of access). */
export async function start(options = {}) {
  const ttl = options.ttl ?? 300;
  const state = seed(options);
  const seen = {
    /** @type {{ method: string | undefined, path: string, cookie: string }[]} */
    requests: [],
    refreshes: 0,
    /** @type {string[]} the header of each proof: it holds the client's key */
    keys: [],
  };
  const timers = new Set();

  const grant = (user) => {
    const access = `at_${randomUUID()}`;
    const refresh = `rt_${randomUUID()}`;
    state.access.set(access, { user, until: Date.now() + ttl * 1000 });
    state.refresh.set(refresh, user);
    return { access, expires_in: ttl, refresh, must_change: user.must };
  };
  const publicRun = ({ events: _, ...run }) => (run.finished ? run : { ...run, counts: {} });
  const findRun = (id) => {
    const run = state.runs.find((each) => each.id === id);
    if (!run) throw new Fault(404, "missing", "There is no such run.");
    return run;
  };

  function simulate(run) {
    const total = 8_196_004;
    let tick = 0;
    const say = (kind, body) =>
      run.events.push({ seq: run.events.length + 1, at: new Date().toISOString(), kind, body });
    const stop = (result) => {
      clearInterval(timer);
      timers.delete(timer);
      run.state = result;
      run.finished = new Date().toISOString();
      if (result !== "cancelled")
        run.receipts = {
          "write-6": {
            rows: run.counts.written,
            bytes: total,
            sha256: sha(run.id),
            guarantee: "exactly-once",
            repeated: false,
          },
        };
      say("state", { state: result });
    };
    const timer = setInterval(() => {
      tick += 1;
      if (run.stop) return stop("cancelled");
      if (tick === 1) {
        run.state = "running";
        run.started = new Date().toISOString();
        say("state", { state: "running" });
        say("log", { message: "plan: 1 segment, general path", level: "info" });
        return;
      }
      const share = Math.min(1, (tick - 1) / (options.ticks ?? 12));
      const rows = Math.round(336_776 * share);
      const rejected = Math.round(258 * share);
      run.counts = { read: rows, written: Math.max(0, rows - rejected), rejected, bytes: Math.round(total * share) };
      say("progress", {
        steps: {
          flights: { rows, bytes: Math.round(total * share), total_bytes: total, rejected: 0 },
          airlines: { rows: 16, bytes: 402, total_bytes: 402, rejected: 0 },
          valid: { rows: rows - rejected, bytes: 0, total_bytes: null, rejected },
          "write-6": { rows: rows - rejected, bytes: Math.round(total * share * 0.7), total_bytes: null, rejected: 0 },
        },
        percent: share * 100,
        rate: 112_000 + tick * 731,
      });
      say("log", {
        message: `batch ${tick - 1} moved`,
        level: "info",
        step: "flights",
        rows: Math.round(336_776 / 12),
      });
      if (tick === 4)
        say("reject", {
          step: "valid",
          line: 812,
          column: "delay_min",
          reason: "is not between -30 and 600 <img src=x onerror=alert(1)>",
        });
      if (share >= 1) stop("finished_with_rejects");
      return undefined;
    }, options.pace ?? 700);
    timers.add(timer);
  }

  function parse(source) {
    const documents = source.split(/^---\s*$/m).filter((each) => each.trim());
    return documents.map((document) => {
      const kind = /^kind:\s*(\S+)/m.exec(document)?.[1];
      const name = /^name:\s*(\S+)/m.exec(document)?.[1];
      if (!kind || !(kind in state.shelves))
        throw new Fault(422, "invalid", "kind: is required", {
          hint: "It is one of connection, format, flow, recipient.",
        });
      if (!name) throw new Fault(422, "invalid", "name: is required", { where: "line 1" });
      if (document.includes("betwen:"))
        throw new Fault(422, "invalid", "step valid: rules[0].betwen: unknown key", {
          where: `line ${source.slice(0, source.indexOf("betwen:")).split("\n").length}, flow ${name}`,
          hint: "A rule has: column, between, in, matches, not_null, unique.",
        });
      return { kind, name, source: document.replace(/^\n/, "") };
    });
  }

  async function events(run, after, wait, request) {
    const until = Date.now() + wait * 1000;
    for (;;) {
      const found = run.events.filter((each) => each.seq > after);
      const done = run.finished !== null;
      if (found.length > 0 || done || Date.now() >= until || request.destroyed) return { items: found, done };
      await new Promise((wake) => setTimeout(wake, 50));
    }
  }

  /** Networks as the server takes them: anything with a prefix whose last bits are not 0 is refused, and words are. */
  function networksOf(texts) {
    for (const each of texts)
      if (!/^[0-9a-f:.]+(\/\d+)?$/.test(each))
        throw new Fault(422, "invalid", "this is no address and no network such as 10.0.0.0/8", {
          where: "addresses[0]",
        });
    return texts;
  }

  /** A one-time link for somebody: by mail, or in the answer where there is none. */
  function link(page, user) {
    const token = `${page}-${randomUUID()}`;
    state.links.set(token, user);
    Object.assign(user, { mail: state.mail ? "waiting" : "", link_expires: before(-259_200) });
    return {
      id: user.id,
      email: user.email,
      role: user.role,
      expires: user.link_expires,
      link: state.mail ? null : `https://sluice.example.org/#/${page}/${token}`,
    };
  }

  /** Invitations, and oneself. */
  function people(first, second, method, body, who, needs, fresh) {
    if (first === "invitations") {
      needs("user:manage");
      fresh();
      const found = state.users.find((each) => each.id === second);
      if (method === "DELETE") {
        found.state = "disabled";
        return {};
      }
      if (found) return link("invitation", found);
      if (state.users.some((each) => each.email === body.email))
        throw new Fault(409, "conflict", "Somebody has this address already.");
      const made = {
        ...state.users[0],
        ...body,
        id: randomUUID(),
        state: "invited",
        created: before(0),
        last_sign_in: null,
        factor: false,
        sso: false,
        addresses: [],
        password: null,
        must: false,
        tenant: who.tenant,
      };
      state.users.push(made);
      return link("invitation", made);
    }
    if (first === "mails") {
      needs("user:manage");
      if (method === "GET") return { items: state.mails };
      if (!state.mail) throw new Fault(503, "unavailable", "No mail is set up here.");
      state.mails.unshift({
        id: randomUUID(),
        kind: "test",
        to: who.email,
        state: "waiting",
        tries: 0,
        why: "",
        created: before(0),
        ended: null,
      });
      return {};
    }
    if (first === "profile") {
      if (second === "email") {
        fresh();
        who.wanted = body.email;
        link("email", who);
        return {};
      }
      if (method === "PUT") Object.assign(who, body);
      return { ...who, language: who.language ?? "", zone: who.zone ?? "", mail: state.mail };
    }
    if (first === "grants") {
      if (method === "GET") return { items: state.signIns };
      const before = state.signIns.length;
      state.signIns = state.signIns.filter((each) => (second === "others" ? each.current : each.id !== second));
      return { count: before - state.signIns.length };
    }
    if (first === "notices")
      return {
        items: [
          {
            kind: "key_made",
            subject: "An API key was made",
            at: before(70_000),
            address: "198.51.100.4",
            client: "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36",
            about: "dashboard",
          },
          {
            kind: "device_new",
            subject: "A new device signed in",
            at: before(190_000),
            address: "192.0.2.17",
            client: "Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537.36 Edg/140.0",
            about: "",
          },
        ],
      };
    return undefined;
  }

  /** Keys, second factors and the policy. */
  function access(first, second, third, method, body, who, needs, fresh) {
    if (first === "keys" && method === "GET") {
      const all = GRANTS[who.role].includes("user:manage");
      return { items: state.keys.filter((each) => all || each.user === who.id) };
    }
    if (first === "keys" && method === "DELETE") {
      state.keys.find((each) => each.id === second).state = "revoked";
      return {};
    }
    if (first === "keys") {
      fresh();
      const owner = state.users.find((each) => each.id === (body.user ?? who.id));
      if (state.keys.some((each) => each.name === body.name && each.state === "active"))
        throw new Fault(409, "conflict", `There is a key called “${body.name}” already.`);
      const made = {
        id: randomUUID(),
        name: body.name,
        scopes: [...body.scopes].sort(),
        addresses: networksOf(body.addresses ?? []),
        expires: before(-86_400 * (body.days ?? 90)),
      };
      state.keys.unshift({
        ...made,
        user: owner.id,
        owner: owner.email,
        state: "active",
        created: before(0),
        last_used: null,
        last_address: "",
        uses: 0,
      });
      return { ...made, key: KEY };
    }
    if (first === "services") {
      needs("user:manage");
      fresh();
      const made = {
        ...state.users[0],
        id: randomUUID(),
        email: body.name,
        name: body.name,
        role: body.role,
        kind: "service",
        state: "active",
        created: before(0),
        last_sign_in: null,
        factor: false,
        addresses: [],
        password: null,
        tenant: who.tenant,
      };
      state.users.push(made);
      return { id: made.id, name: made.name, role: made.role };
    }
    if (first === "policy") {
      if (method === "PUT") {
        needs("user:manage");
        fresh();
        if (body.password_length < BASE.password_length[0])
          throw new Fault(403, "denied", "This may only be stricter here: 15 or more.", { where: "password_length" });
        state.policy = { ...body, addresses: networksOf(body.addresses ?? []) };
      }
      const items = Object.entries(BASE).map(([name, [installation, may]]) => {
        const own = state.policy[name];
        const said = own !== undefined && own?.length !== 0;
        return { name, value: said ? own : installation, origin: said ? "tenant" : "installation", installation, may };
      });
      return { ...Object.fromEntries(items.map(({ name, value }) => [name, value])), items };
    }
    if (first === "support") {
      needs(method === "POST" ? "support:grant" : "user:manage");
      if (method === "GET") return { items: state.support };
      if (method === "DELETE") {
        const found = state.support.find((each) => each.id === second);
        Object.assign(found, { state: "revoked", ended: before(0) });
        return {};
      }
      fresh();
      const made = {
        id: randomUUID(),
        email: body.email ?? "",
        state: "active",
        reason: body.reason,
        scopes: ["data:read"],
        created: before(0),
        created_by: who.id,
        expires: before(-3600 * (body.hours ?? 4)),
        ended: null,
      };
      state.support.unshift(made);
      return made;
    }
    if (first === "superadmins") {
      needs("tenant:manage");
      const all = state.users.filter((each) => each.role === "superadmin");
      if (method === "GET")
        return { items: all.map(({ password: _p, must: _m, tenant: _t, kind: _k, addresses: _a, ...user }) => user) };
      fresh();
      if (third === "factors") {
        all.find((each) => each.id === second).factor = false;
        return {};
      }
      if (second) {
        if (all.filter((each) => each.state === "active").length < 2 && third === "deactivate")
          throw new Fault(409, "conflict", "This is the last SuperAdmin who can sign in.");
        all.find((each) => each.id === second).state = third === "deactivate" ? "disabled" : "active";
        return {};
      }
      const made = { ...all[0], ...body, id: randomUUID(), created: before(0), last_sign_in: null, factor: false };
      state.users.push(made);
      return { id: made.id, email: made.email, password: "plank-otter-dune-9-violet" };
    }
    if (first !== "factors") return undefined;
    const own = state.factors.get(who.id) ?? { items: [], codes: 0 };
    state.factors.set(who.id, own);
    const codes = () => {
      own.codes = 10;
      return Array.from({ length: 10 }, (_, at) => `${CODES}-${at}`);
    };
    if (method === "GET")
      return { items: own.items.filter((each) => each.done).map(({ done: _, ...row }) => row), codes_left: own.codes };
    if (second === "codes") {
      fresh();
      return { codes: codes() };
    }
    if (method === "DELETE") {
      fresh();
      own.items = own.items.filter((each) => each.id !== second);
      who.factor = own.items.length > 0;
      return {};
    }
    if (third === "confirm") {
      if (body.code !== "123456")
        throw new Fault(422, "invalid", "The code is wrong or has been used.", { hint: "Wait for the next one." });
      own.items.find((each) => each.id === second).done = true;
      who.factor = true;
      return { codes: own.codes > 0 ? [] : codes() };
    }
    fresh();
    const id = randomUUID();
    own.items.push({ id, kind: "totp", name: body.name, created: before(0), used: null, done: false });
    const uri = `otpauth://totp/Sluicegate%20acme:${encodeURIComponent(who.email)}?secret=${SEED}&issuer=Sluicegate%20acme`;
    return { id, seed: SEED, uri };
  }

  const SHELF = {
    flows: ["flow", "flow:read"],
    connections: ["connection", "connection:read"],
    recipients: ["recipient", "connection:read"],
  };

  async function answer(method, path, query, body, request) {
    const at = `${method} ${path}`;
    if (at === "GET /health")
      return { status: "ok", bootstrap: state.users.length === 0, mail: state.mail ? "ok" : "off" };
    if (at === "POST /session/login") {
      const user = state.users.find(
        (each) => each.email === body.email && each.password === body.password && each.tenant === (body.tenant ?? null),
      );
      if (!user) throw new Fault(401, "unauthenticated", "Wrong tenant, email or password.");
      return grant(user);
    }
    if (at === "POST /sso/begin") {
      if (body.tenant !== "acme") throw new Fault(404, "missing", "Single sign-on is not set up for this tenant.");
      const code = randomUUID();
      state.sso = { code, state: `st_${code}`, key: seen.keys.at(-1) };
      return { url: `https://id.example.org/auth?client_id=sluice&state=${state.sso.state}` };
    }
    if (at === "POST /sso/finish") {
      const asked = state.sso;
      state.sso = undefined;
      if (!asked || asked.state !== body.state || asked.code !== body.code || asked.key !== seen.keys.at(-1))
        throw new Fault(401, "unauthenticated", "Single sign-on did not let you in.", { hint: "Begin again." });
      return grant(state.users.find((each) => each.tenant === body.at));
    }
    if (at === "POST /session/bootstrap") {
      if (state.users.length > 0 || body.code !== CODE)
        throw new Fault(401, "unauthenticated", "The code is wrong or has been used.");
      const user = {
        id: randomUUID(),
        email: body.email,
        name: body.name,
        role: "superadmin",
        state: "active",
        created: before(0),
        last_sign_in: null,
        password: body.password,
        must: false,
        tenant: null,
      };
      state.users.push(user);
      return grant(user);
    }
    if (at === "POST /session/refresh") {
      seen.refreshes += 1;
      const user = state.refresh.get(body.refresh);
      state.refresh.delete(body.refresh);
      if (!user) throw new Fault(401, "unauthenticated", "Sign in again.");
      return grant(user);
    }
    if (at === "POST /password/forgot") {
      state.forgot.push(`${body.tenant ?? ""}/${body.email}`);
      return {};
    }
    if (["/invitations/accept", "/password/reset", "/profile/confirm"].includes(path)) {
      const user = state.links.get(body.token);
      if (!user)
        throw new Fault(401, "unauthenticated", "The link is wrong, has been used, or is over.", {
          hint: "Ask for a new one.",
        });
      if (body.password?.length < 15)
        throw new Fault(422, "invalid", "a password has 15 to 256 characters", { where: "password" });
      state.links.delete(body.token);
      if (body.password) user.password = body.password;
      if (path === "/profile/confirm") user.email = user.wanted;
      if (path !== "/invitations/accept") return {};
      Object.assign(user, { name: body.name, state: "active", link_expires: null });
      return grant(user);
    }
    const token = state.access.get((request.headers.authorization ?? "").replace("DPoP ", ""));
    if (!token || token.until < Date.now()) throw new Fault(401, "unauthenticated", "Sign in first.");
    const held = state.support.find((each) => each.state === "active");
    const lent = token.user.place && held ? ["data:read"] : [];
    // A SuperAdmin works where they switched to.
    const who = token.user.place ? { ...token.user, tenant: token.user.place } : token.user;
    const needs = (permission) => {
      if (!GRANTS[who.role].includes(permission)) throw new Fault(403, "denied", "Your role may not do this.");
    };
    const fresh = () => {
      if (state.stale) throw new Fault(401, "step_up", "This needs a fresh proof that it is you.");
    };
    if (at === "POST /session/prove") {
      if (body.password !== who.password) throw new Fault(401, "unauthenticated", "This is not right.");
      state.stale = false;
      return {};
    }
    if (at === "POST /session/logout") {
      state.refresh.delete(body.refresh);
      return {};
    }
    if (at === "POST /session/password") {
      if (body.old !== who.password) throw new Fault(403, "denied", "The old password is wrong.");
      if (body.new.length < 15)
        throw new Fault(422, "invalid", "a password has 15 to 256 characters", {
          hint: "A few words in a row do well.",
        });
      who.password = body.new;
      who.must = false;
      // Every token of the person is void now, the one that was used as well.
      for (const [key, held] of state.access) if (held.user === who) state.access.delete(key);
      for (const [key, user] of state.refresh) if (user === who) state.refresh.delete(key);
      return {};
    }
    if (who.must) throw new Fault(403, "denied", "Change your password first.");
    if (at === "GET /session/whoami")
      return {
        id: who.id,
        email: who.email,
        name: who.name,
        role: who.role,
        tenant: state.tenants.find((each) => each.name === who.tenant)?.id ?? null,
        tenant_name: who.tenant,
        permissions: [...GRANTS[who.role], ...lent],
        support: lent.length > 0 ? held.id : null,
      };
    if (at === "POST /session/switch") {
      needs("tenant:manage");
      if (body.tenant && state.tenants.find((each) => each.name === body.tenant)?.state !== "active")
        throw new Fault(403, "denied", "The tenant is suspended: nobody works in it.");
      token.user.place = body.tenant ?? null;
      // What was given out for the place before is void.
      for (const [key, given] of state.access) if (given.user === token.user) state.access.delete(key);
      const { access: fresh, expires_in } = grant(token.user);
      return { access: fresh, expires_in, tenant: body.tenant ?? null };
    }
    const [, first, second, third] = path.split("/").map(decodeURIComponent);
    if (first === "connections" && third === "test") {
      needs("data:read");
      if (second === "shop")
        throw new Fault(422, "unreachable", "shop.example.org:5432 does not answer", {
          hint: "Check host, port and firewall.",
        });
      return { name: second, answer: "PostgreSQL 15.18, TLS 1.3, signed in as loader" };
    }
    if (first in SHELF && method === "DELETE") {
      needs("definition:write");
      if (second === "warehouse")
        throw new Fault(422, "invalid", "the flow 'flights-to-warehouse' uses it", {
          where: "connection warehouse",
          hint: "Change or delete the flow first.",
        });
      state.shelves[SHELF[first][0]].delete(second);
      return {};
    }
    if (first in SHELF && method === "GET") {
      const [kind, permission] = SHELF[first];
      needs(permission);
      if (!second)
        return {
          items: [...state.shelves[kind].values()].map((versions) => {
            const { source: _s, body: _b, kind: _k, ...row } = versions.at(-1);
            const run = state.runs.find((each) => each.flow === row.name);
            return kind === "flow"
              ? { ...row, last_run: run ? { id: run.id, state: run.state, created: run.created } : null }
              : row;
          }),
        };
      const versions = state.shelves[kind].get(second);
      if (!versions) throw new Fault(404, "missing", `There is no ${kind} called “${second}”.`);
      if (third === "versions")
        return {
          items: versions.map(({ version, digest, author, created }) => ({ version, digest, author, created })),
        };
      return query.get("version") ? versions[Number(query.get("version")) - 1] : versions.at(-1);
    }
    if (first === "flows" && third === "runs") {
      needs("run:control");
      const run = {
        id: randomUUID(),
        flow: second,
        flow_version: state.shelves.flow.get(second).length,
        state: "queued",
        by: who.id,
        created: before(0),
        started: null,
        finished: null,
        params: body.params,
        counts: { read: 0, written: 0, rejected: 0, bytes: 0 },
        error: null,
        receipts: {},
        events: [],
      };
      state.runs.unshift(run);
      simulate(run);
      return { id: run.id };
    }
    if (first === "definitions") {
      needs("definition:write");
      const found = parse(body.source);
      return {
        items: found.map(({ kind, name, source }) => {
          const versions = state.shelves[kind].get(name) ?? [];
          const changed = versions.at(-1)?.source !== source;
          const version = versions.length + (changed ? 1 : 0);
          if (second === "validate") return { kind, name, version, changed };
          const text = versions.at(-1)?.body ?? { kind, name, params: {}, steps: [] };
          if (changed)
            state.shelves[kind].set(name, [
              ...versions,
              { kind, name, version, digest: sha(source), author: who.id, created: before(0), source, body: text },
            ]);
          return { kind, name, version, changed };
        }),
      };
    }
    if (first === "runs") {
      needs("run:read");
      if (!second)
        return {
          items: state.runs
            .filter((run) => !query.get("flow") || run.flow === query.get("flow"))
            .slice(0, Number(query.get("limit") ?? 100))
            .map(publicRun),
        };
      const run = findRun(second);
      if (third === "events")
        return events(run, Number(query.get("after")), Math.min(20, Number(query.get("wait"))), request);
      if (third === "rejects") {
        needs("data:read");
        const row = (line) => ({
          step: "valid",
          line,
          column: "delay_min",
          reason: "is not between -30 and 600",
          row: "2013,1,9,1301,HA,51",
        });
        return { items: [812, 4410, 9036].map(row), total: run.counts.rejected };
      }
      if (third === "cancel") {
        needs("run:control");
        run.stop = true;
        return {};
      }
      return publicRun(run);
    }
    if (first === "secrets") {
      if (third === "test") {
        needs("data:read");
        const { name, reference } = state.secrets.get(second);
        if (reference.includes("gone"))
          throw new Fault(422, "failed", `The secret '${name}' does not come from bao: OpenBao has no 'gone'.`, {});
        return { name, answer: reference ? `It comes from ${reference}.` : "It is kept here." };
      }
      needs(third === "reference" ? "secret:link" : "secret:write");
      if (method === "GET") return { items: [...state.secrets.values()] };
      if (method === "DELETE") state.secrets.delete(second);
      else {
        if (!/^[a-z0-9][a-z0-9_-]*$/.test(second))
          throw new Fault(422, "invalid", "name: only lower-case letters, digits, “-” and “_”", { where: "name" });
        const old = state.secrets.get(second);
        state.secrets.set(second, {
          name: second,
          version: (old?.version ?? 0) + 1,
          fingerprint: sha(body.value ?? body.reference).slice(0, 12),
          reference: body.reference ?? "",
          set_at: before(0),
          set_by: who.id,
          used_by: old?.used_by ?? [],
        });
      }
      return {};
    }
    if (first === "users") {
      needs("user:manage");
      if (method === "GET")
        return {
          items: state.users
            .filter((each) => each.tenant === who.tenant)
            .map(({ password: _p, must: _m, tenant: _t, ...user }) => user),
        };
      const found = state.users.find((each) => each.id === second);
      if (second) fresh();
      if (third === "deactivate") {
        found.state = "disabled";
        return {};
      }
      if (third === "reactivate") {
        found.state = "active";
        return {};
      }
      if (third === "reset") return link("reset", found);
      if (third === "factors") {
        found.factor = false;
        return {};
      }
      if (third === "role") {
        const before = found.role;
        found.role = body.role;
        return { id: found.id, email: found.email, before, role: body.role };
      }
      if (third === "addresses") {
        found.addresses = networksOf(body.addresses);
        return {};
      }
      if (state.users.some((each) => each.email === body.email))
        throw new Fault(409, "conflict", "Somebody has this address already.");
      const made = {
        id: randomUUID(),
        ...body,
        state: "active",
        created: before(0),
        last_sign_in: null,
        password: "plank-otter-dune-9-violet",
        must: true,
        tenant: who.tenant,
        factor: false,
        sso: false,
        kind: "person",
        addresses: [],
      };
      state.users.push(made);
      return { id: made.id, password: made.password };
    }
    const found =
      access(first, second, third, method, body, who, needs, fresh) ??
      people(first, second, method, body, who, needs, fresh);
    if (found) return found;
    if (first === "tenants") {
      needs("tenant:manage");
      if (method === "GET") return { items: state.tenants };
      if (second) {
        fresh();
        state.tenants.find((each) => each.id === second).state = third === "suspend" ? "suspended" : "active";
        return {};
      }
      state.tenants.push({ id: randomUUID(), name: body.name, state: "active", created: before(0) });
      return {};
    }
    if (first === "audit") {
      needs("audit:read");
      return { items: state.audit };
    }
    throw new Fault(404, "missing", "There is no such thing.");
  }

  async function file(path) {
    const wanted = normalize(path).replace(/^(\.\.[/\\])+/, "");
    if (extname(wanted)) {
      try {
        return [await readFile(join(STATIC, wanted)), TYPES[extname(wanted)] ?? "application/octet-stream"];
      } catch (fault) {
        if (fault.code !== "ENOENT") throw fault;
        return undefined;
      }
    }
    return [await readFile(join(STATIC, "index.html")), TYPES[".html"]];
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://loopback");
    const send = (status, body, type) => {
      response.writeHead(status, {
        ...HEADERS,
        "cache-control": "no-store",
        ...(type ? { "content-type": type } : {}),
      });
      response.end(body);
    };
    try {
      if (!url.pathname.startsWith("/api/v1/")) {
        const found = await file(url.pathname);
        return found ? send(200, ...found) : send(404, "");
      }
      const parts = [];
      for await (const part of request) parts.push(part);
      const text = Buffer.concat(parts).toString();
      seen.requests.push({ method: request.method, path: url.pathname, cookie: request.headers.cookie ?? "" });
      const proof = String(request.headers.dpop ?? "");
      if (proof) seen.keys.push(proof.split(".")[0] ?? "");
      if (state.down) return request.socket.destroy();
      const body = await answer(
        request.method,
        url.pathname.slice(7),
        url.searchParams,
        text ? JSON.parse(text) : {},
        request,
      );
      return send(
        url.pathname.endsWith("/runs") && request.method === "POST" ? 202 : 200,
        JSON.stringify(body),
        "application/json",
      );
    } catch (fault) {
      if (fault instanceof Fault) return send(fault.status, JSON.stringify(fault.body), "application/problem+json");
      console.error(fault);
      return send(
        500,
        JSON.stringify({ type: "urn:sluicegate:error", code: "error", status: 500, title: "The stub broke." }),
        "application/problem+json",
      );
    }
  });
  await new Promise((done) => server.listen(options.port ?? 0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    state,
    seen,
    close: async () => {
      for (const timer of timers) clearInterval(timer);
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { url } = await start({ port: 8400 });
  console.log(`${url}  acme / ada@example.org / ${PASSWORD}`);
}
