/**
 * A stand-in for the server, for tests of the page alone: plain HTTP on loopback, the real headers, the built files,
 * everything in memory. It keeps the rules that the page relies on (rotation, roles, write-only secrets, long poll) and
 * nothing else. `node test/stub.mjs` serves it on port 8400.
 */
import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const STATIC = join(dirname(fileURLToPath(import.meta.url)), "../../src/sluicegate/web/static");

/** The headers of the real server, word for word: the page must live under them. */
export const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
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

const VIEW = ["flow:read", "run:read", "self:use"];
const OPERATE = [...VIEW, "connection:read", "data:read", "run:control"];
const EDIT = [...OPERATE, "definition:write", "secret:write"];
const ADMINISTER = [...EDIT, "audit:read", "user:manage"];
const GRANTS = {
  superadmin: [...ADMINISTER.filter((each) => each !== "data:read"), "tenant:manage"],
  administrator: ADMINISTER,
  editor: EDIT,
  operator: OPERATE,
  viewer: VIEW,
  api_user: ["self:use"],
};

export const PASSWORD = "correct horse battery staple";
export const CODE = "K7QF-2MZX-9TRB";

export const FLOW = `kind: flow
name: flights-to-warehouse
description: Delays by day, cleaned and checked
params: { day: { type: date, default: 2013-01-01, description: First day to take }, limit: { type: int64, default: 500000 } }
steps:
  - read:  { name: flights, connection: landing, item: "flights.csv.gz", format: { type: csv, nulls: [NA] } }
  - read:  { name: airlines, connection: shop, item: airlines }
  - join:  { name: named, left: flights, right: airlines, on: [carrier], how: left }
  - map:
      name: clean
      from: named
      where: "dep_delay is not null and make_date(year, month, day) >= :day"
      columns: { year: year, month: month, day: day, sched_dep_time: sched_dep_time, carrier: carrier, flight: flight,
                 airline: name, delay_min: "cast(dep_delay as smallint)", tail: "upper(tailnum)" }
  # A delay outside these bounds is a fault of the feed.
  - check: { name: valid, from: clean, rules: [ { column: delay_min, between: [-30, 600] } ], on_fail: quarantine }
  - write: { from: valid, connection: warehouse, item: flight_delays,
             mode: { type: merge, keys: [year, month, day, sched_dep_time, carrier, flight] } }
`;

const PARAMS = {
  day: { type: "date", default: "2013-01-01", description: "First day to take" },
  limit: { type: "int64", default: 500000 },
};

const connection = (name, type, rest) => `kind: connection\nname: ${name}\ntype: ${type}\n${rest}`;
const sha = (text) => createHash("sha256").update(text).digest("hex");
const before = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

class Fault extends Error {
  constructor(status, code, title, more = {}) {
    super(title);
    this.status = status;
    this.body = { type: `urn:sluicegate:${code}`, code, status, title, ...more };
  }
}

function seed(options) {
  const user = (email, name, role, more = {}) => ({
    id: randomUUID(),
    email,
    name,
    role,
    state: "active",
    created: before(8_000_000),
    last_sign_in: null,
    password: PASSWORD,
    must: false,
    tenant: "acme",
    ...more,
  });
  const users = options.bootstrap
    ? []
    : [
        user("ada@example.org", "Ada Marsh", "administrator", { last_sign_in: before(3600) }),
        user("ed@example.org", "Ed Fenn", "editor", { last_sign_in: before(90_000) }),
        user("oz@example.org", "Oz Leat", "operator"),
        user("vi@example.org", "Vi Brook", "viewer"),
        user("bot@example.org", "Order feed", "api_user"),
        user("new@example.org", "Nell Weir", "viewer", { must: true, password: "given-once-by-the-admin" }),
        user("root@example.org", "Root", "superadmin", { tenant: null }),
      ];
  const shelves = { flow: new Map(), connection: new Map(), recipient: new Map() };
  const put = (kind, name, source, body, versions = 1) => {
    shelves[kind].set(
      name,
      Array.from({ length: versions }, (_, index) => {
        const text =
          index + 1 === versions ? source : source.replace("between: [-30, 600]", `between: [-${index + 1}0, 600]`);
        return {
          kind,
          name,
          version: index + 1,
          digest: sha(text + index),
          author: state.users[0].id,
          created: before((versions - index) * 7200),
          source: text,
          body,
        };
      }),
    );
  };
  const state = {
    users,
    shelves,
    runs: [],
    secrets: new Map(),
    audit: [],
    tenants: [{ id: randomUUID(), name: "acme", state: "active", created: before(9_000_000) }],
    refresh: new Map(),
    access: new Map(),
    put,
  };
  if (options.bootstrap || options.empty) return state;
  put(
    "flow",
    "flights-to-warehouse",
    FLOW,
    { kind: "flow", name: "flights-to-warehouse", params: PARAMS, steps: [] },
    4,
  );
  for (const name of ["orders-hourly", "customers-to-lake", "invoices-archive", "inventory-sync"])
    put(
      "flow",
      name,
      `kind: flow\nname: ${name}\nsteps:\n  - read:  { name: rows, connection: landing, item: "${name}.csv", format: { type: csv } }\n  - write: { from: rows, connection: warehouse, item: ${name.replaceAll("-", "_")}, mode: { type: replace } }\n`,
      { kind: "flow", name, params: {}, steps: [] },
      2,
    );
  put(
    "connection",
    "warehouse",
    connection(
      "warehouse",
      "postgres",
      "host: db.example.org\nport: 5432\ndatabase: shop\nuser: loader\npassword: { secret: warehouse-password }\ntls: verify-full\n",
    ),
    {},
  );
  put(
    "connection",
    "shop",
    connection(
      "shop",
      "postgres",
      "host: shop.example.org\ndatabase: shop\nuser: reader\npassword: { secret: shop-password }\n",
    ),
    {},
  );
  put("connection", "landing", connection("landing", "files", "root: landing\n"), {});
  const secret = (name, used_by, version) =>
    state.secrets.set(name, {
      name,
      version,
      fingerprint: sha(name).slice(0, 12),
      set_at: before(86_400 * version),
      set_by: state.users[1].id,
      used_by,
    });
  secret("warehouse-password", ["warehouse"], 3);
  secret("shop-password", ["shop"], 1);
  secret("old-sftp-key", [], 1);
  const past = (flow, result, age, counts, error = null) => {
    const receipts =
      result === "succeeded" || result === "finished_with_rejects"
        ? {
            "write-6": {
              rows: counts.written,
              bytes: counts.bytes,
              sha256: sha(flow + age),
              guarantee: "exactly-once",
              repeated: false,
            },
          }
        : {};
    const run = {
      id: randomUUID(),
      flow,
      flow_version: 2,
      state: result,
      by: state.users[2].id,
      created: before(age),
      started: before(age - 1),
      finished: before(age - 13.4),
      params: {},
      counts,
      error,
      receipts,
      events: [],
    };
    const say = (kind, body) => run.events.push({ seq: run.events.length + 1, at: run.started, kind, body });
    say("state", { state: "running" });
    say("log", { message: "plan: general path, 1 segment", level: "info", step: "rows" });
    say("progress", {
      steps: {
        rows: { rows: counts.read, bytes: counts.bytes, total_bytes: counts.bytes, rejected: counts.rejected },
        "write-6": { rows: counts.written, bytes: counts.bytes, total_bytes: null, rejected: 0 },
      },
      percent: 100,
      rate: 0,
    });
    if (counts.rejected)
      for (const line of [812, 4410, 9036])
        say("reject", { step: "valid", line, column: "delay_min", reason: "is not between -30 and 600" });
    if (error) say("log", { message: error.title, level: "error", step: "rows" });
    say("state", { state: result });
    state.runs.unshift(run);
  };
  past("customers-to-lake", "succeeded", 90_000, {
    read: 1_204_331,
    written: 1_204_331,
    rejected: 0,
    bytes: 182_400_221,
  });
  past("invoices-archive", "cancelled", 40_000, { read: 22_000, written: 0, rejected: 0, bytes: 3_100_000 });
  past(
    "inventory-sync",
    "failed",
    14_000,
    { read: 96_000, written: 0, rejected: 0, bytes: 8_400_112 },
    {
      code: "data",
      status: 422,
      title: "“12,5” is not a decimal(10,2)",
      where: "step rows, line 96004, column price",
      hint: "The file writes a comma as decimal sign: set “decimal: ','” in the format.",
    },
  );
  past("flights-to-warehouse", "finished_with_rejects", 7_000, {
    read: 336_776,
    written: 336_518,
    rejected: 258,
    bytes: 8_196_004,
  });
  past("orders-hourly", "succeeded", 1_800, { read: 48_210, written: 48_210, rejected: 0, bytes: 6_120_388 });
  const note = (action, who, result, more) =>
    state.audit.unshift({
      seq: state.audit.length + 1,
      at: before(5000 - state.audit.length * 300),
      action,
      who,
      result,
      tenant: "acme",
      address: "192.0.2.14",
      ...more,
    });
  note("session.login", "ada@example.org", "ok", {});
  note("definition.apply", "ada@example.org", "ok", { kind: "flow", name: "flights-to-warehouse", version: 4 });
  note("session.login", null, "denied", { email: "mallory@example.org" });
  note("secret.set", "ed@example.org", "ok", { name: "warehouse-password", version: 3 });
  note("run.start", "oz@example.org", "ok", { flow: "orders-hourly" });
  return state;
}

/** Start the stub. Options: `bootstrap` (nobody yet), `empty` (people, but nothing else), `ttl` (seconds of access). */
export async function start(options = {}) {
  const ttl = options.ttl ?? 300;
  const state = seed(options);
  const seen = { requests: [], refreshes: 0, violations: [] };
  const timers = new Set();

  const grant = (user) => {
    const access = `at_${randomUUID()}`;
    const refresh = `rt_${randomUUID()}`;
    state.access.set(access, { user, until: Date.now() + ttl * 1000 });
    state.refresh.set(refresh, user);
    return { access, expires_in: ttl, refresh, must_change: user.must };
  };
  const publicRun = ({ events: _, ...run }) => run;
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
          valid: { rows, bytes: 0, total_bytes: null, rejected },
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
      if (!name) throw new Fault(422, "invalid", "name: is required", { where: `${kind}` });
      if (document.includes("betwen:"))
        throw new Fault(422, "invalid", "step valid: rules[0].betwen: unknown key", {
          where: `flow ${name}`,
          hint: "A rule has: column, between, in, matches, not_null, unique.",
        });
      return { kind, name, source: document.replace(/^\n/, "") };
    });
  }

  async function events(run, after, wait, request) {
    const until = Date.now() + wait * 1000;
    while (!request.destroyed) {
      const found = run.events.filter((each) => each.seq > after);
      if (found.length > 0 || Date.now() >= until || run.finished) return { items: found };
      await new Promise((done) => setTimeout(done, 50));
    }
    return { items: [] };
  }

  const SHELF = {
    flows: ["flow", "flow:read"],
    connections: ["connection", "connection:read"],
    recipients: ["recipient", "connection:read"],
  };

  async function answer(method, path, query, body, request) {
    const at = `${method} ${path}`;
    if (at === "GET /health") return { status: "ok", bootstrap: state.users.length === 0 };
    if (at === "POST /session/login") {
      const user = state.users.find(
        (each) => each.email === body.email && each.password === body.password && each.tenant === (body.tenant ?? null),
      );
      if (!user) throw new Fault(401, "unauthenticated", "Wrong tenant, email or password.");
      return grant(user);
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
    const token = state.access.get((request.headers.authorization ?? "").replace("Bearer ", ""));
    if (!token || token.until < Date.now()) throw new Fault(401, "unauthenticated", "Sign in first.");
    const who = token.user;
    const needs = (permission) => {
      if (!GRANTS[who.role].includes(permission)) throw new Fault(403, "denied", "Your role may not do this.");
    };
    if (at === "POST /session/logout") {
      state.refresh.delete(body.refresh);
      return null;
    }
    if (at === "POST /session/password") {
      if (body.old !== who.password) throw new Fault(403, "denied", "The old password is wrong.");
      if (body.new.length < 15)
        throw new Fault(422, "invalid", "a password has 15 to 256 characters", {
          hint: "A few words in a row do well.",
        });
      who.password = body.new;
      who.must = false;
      return null;
    }
    if (who.must) throw new Fault(403, "denied", "Change your password first.");
    if (at === "GET /session/whoami")
      return {
        id: who.id,
        email: who.email,
        name: who.name,
        role: who.role,
        tenant: who.tenant,
        tenant_name: who.tenant,
        permissions: GRANTS[who.role],
      };
    const [, first, second, third] = path.split("/").map(decodeURIComponent);
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
      if (third === "cancel") {
        needs("run:control");
        run.stop = true;
        return null;
      }
      return publicRun(run);
    }
    if (first === "secrets") {
      needs("secret:write");
      if (method === "GET") return { items: [...state.secrets.values()] };
      if (method === "DELETE") state.secrets.delete(second);
      else {
        if (!/^[a-z0-9][a-z0-9_-]*$/.test(second))
          throw new Fault(422, "invalid", "name: only lower-case letters, digits, “-” and “_”", { where: "name" });
        const old = state.secrets.get(second);
        state.secrets.set(second, {
          name: second,
          version: (old?.version ?? 0) + 1,
          fingerprint: sha(body.value).slice(0, 12),
          set_at: before(0),
          set_by: who.id,
          used_by: old?.used_by ?? [],
        });
      }
      return null;
    }
    if (first === "users") {
      needs("user:manage");
      if (method === "GET")
        return {
          items: state.users
            .filter((each) => each.tenant === who.tenant)
            .map(({ password: _p, must: _m, tenant: _t, ...user }) => user),
        };
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
      };
      state.users.push(made);
      return { id: made.id, password: made.password };
    }
    if (first === "tenants") {
      needs("tenant:manage");
      if (method === "GET") return { items: state.tenants };
      state.tenants.push({ id: randomUUID(), name: body.name, state: "active", created: before(0) });
      return null;
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
      if (state.down) return request.destroy();
      const body = await answer(
        request.method,
        url.pathname.slice(7),
        url.searchParams,
        text ? JSON.parse(text) : {},
        request,
      );
      if (body === null) return send(204, "");
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
