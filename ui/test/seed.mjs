/** What the stub holds at its start: people, flows, runs, secrets, records. Made up, and shaped like the server's. */
import { createHash, randomUUID } from "node:crypto";

const VIEW = ["flow:read", "run:read", "self:use"];
const OPERATE = [...VIEW, "connection:read", "data:read", "run:control"];
const EDIT = [...OPERATE, "definition:write", "secret:write"];
const ADMINISTER = [...EDIT, "audit:read", "secret:link", "support:grant", "user:manage"];
export const GRANTS = {
  superadmin: [...ADMINISTER.filter((each) => each !== "data:read" && each !== "support:grant"), "tenant:manage"],
  administrator: ADMINISTER,
  editor: EDIT,
  operator: OPERATE,
  viewer: VIEW,
  api_user: ["self:use"],
};

/** What the installation has, and what tenants may set. */
export const BASE = {
  factor_required: [false, "stricter"],
  password_length: [15, "stricter"],
  session_minutes: [720, "stricter"],
  idle_minutes: [240, "stricter"],
  addresses: [[], "stricter"],
  key_days: [365, "stricter"],
  invitation_hours: [72, "stricter"],
  key_proof: [false, "free"],
  support_hours: [4, "fixed"],
  requests: ["500/second", "stricter"],
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

const STEPS = [
  { read: { name: "flights" } },
  { read: { name: "airlines" } },
  { join: { name: "named" } },
  { map: { name: "clean" } },
  { check: { name: "valid" } },
  { write: { from: "valid" } },
];
const SHORT = [{ read: { name: "rows" } }, { write: { from: "rows" } }];

const connection = (name, type, rest) => `kind: connection\nname: ${name}\ntype: ${type}\n${rest}`;
export const sha = (text) => createHash("sha256").update(text).digest("hex");
export const before = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

/** Return what the stub holds at its start. */
export function seed(options) {
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
    factor: false,
    sso: false,
    kind: "person",
    addresses: [],
    link_expires: null,
    mail: "",
    ...more,
  });
  const users = options.bootstrap
    ? []
    : [
        user("ada@example.org", "Ada Marsh", "administrator", { last_sign_in: before(3600) }),
        user("ed@example.org", "Ed Fenn", "editor", { last_sign_in: before(90_000), factor: true, sso: true }),
        user("oz@example.org", "Oz Leat", "operator"),
        user("vi@example.org", "Vi Brook", "viewer"),
        user("bot@example.org", "Order feed", "api_user"),
        user("new@example.org", "Nell Weir", "viewer", { must: true, password: "given-once-by-the-admin" }),
        user("nightly", "nightly", "operator", { kind: "service", password: null }),
        user("ivy@example.org", "Ivy Rill", "editor", {
          state: "invited",
          link_expires: before(-170_000),
          mail: "sent",
          password: null,
        }),
        user("root@example.org", "Root", "superadmin", { tenant: null }),
        user("ruth@example.org", "Ruth Ford", "superadmin", {
          tenant: null,
          factor: true,
          last_sign_in: before(9_000),
        }),
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
    /** While true, every connection is cut before an answer. */
    down: false,
    users,
    shelves,
    /** @type {Record<string, any>[]} */
    runs: [],
    secrets: new Map(),
    audit: [],
    tenants: [
      { id: randomUUID(), name: "acme", state: "active", created: before(9_000_000) },
      { id: randomUUID(), name: "globex", state: "suspended", created: before(4_000_000) },
    ],
    /** @type {Record<string, any>[]} */
    support: [],
    /** Links that are good: what they carry, and for whom. */
    links: new Map(),
    /** Whether a relay is set up. */
    mail: options.mail ?? true,
    mails: [
      ["email", "ed@example.org", "withdrawn", 1, "The link in it was good no more.", 90],
      ["invitation", "ivy@example.org", "sent", 1, "", 3600],
      ["reset", "oz@example.org", "failed", 8, "The relay refuses the recipient (550).", 90_000],
    ].map(([kind, to, state, tries, why, age]) => ({
      id: randomUUID(),
      kind,
      to,
      state,
      tries,
      why,
      created: before(age),
      ended: before(age),
    })),
    /** @type {string[]} whom a link for a new password was asked for */
    forgot: [],
    signIns: [
      ["one", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36", "198.51.100.4", 3600, true],
      ["two", "Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537.36 Edg/140.0", "192.0.2.17", 190_000, false],
      ["three", "sluice/0.1.0", "192.0.2.18", 600_000, false],
    ].map(([id, client, address, age, current]) => ({
      id,
      client,
      address,
      created: before(age),
      used: before(age / 90),
      expires: before(-30_000),
      current,
    })),
    refresh: new Map(),
    access: new Map(),
    /** @type {Record<string, any>[]} */
    keys: [],
    factors: new Map(),
    /** Whether a fresh proof of the person is wanted, as five minutes after sign-in. */
    stale: false,
    /** What the tenant sets itself. */
    policy: {},
    put,
  };
  if (options.bootstrap) state.tenants = [];
  if (options.bootstrap || options.empty) return state;
  const key = (name, at, scopes, more = {}) =>
    state.keys.push({
      id: randomUUID(),
      name,
      user: users[at].id,
      owner: users[at].email,
      state: "active",
      scopes,
      addresses: [],
      created: before(2_000_000),
      expires: before(-2_500_000),
      last_used: null,
      last_address: "",
      uses: 0,
      ...more,
    });
  key("nightly-run", 6, ["flow:read", "run:control", "run:read"], {
    addresses: ["192.0.2.0/24", "2001:db8:40::/48"],
    last_used: before(5_400),
    last_address: "192.0.2.17",
    uses: 1_284,
  });
  key("dashboard", 0, ["run:read"], { last_used: before(70), last_address: "198.51.100.4", uses: 22_017 });
  key("laptop", 1, ["definition:write", "flow:read"], { expires: before(-200_000) });
  key("old-laptop", 0, ["flow:read"], { state: "revoked", expires: before(-900_000) });
  key("trial", 0, ["run:read"], { state: "expired", expires: before(400_000) });
  put(
    "flow",
    "flights-to-warehouse",
    FLOW,
    { kind: "flow", name: "flights-to-warehouse", params: PARAMS, steps: STEPS },
    4,
  );
  for (const name of ["orders-hourly", "customers-to-lake", "invoices-archive", "inventory-sync"])
    put(
      "flow",
      name,
      `kind: flow\nname: ${name}\nsteps:\n  - read:  { name: rows, connection: landing, item: "${name}.csv", format: { type: csv } }\n  - write: { from: rows, connection: warehouse, item: ${name.replaceAll("-", "_")}, mode: { type: replace } }\n`,
      { kind: "flow", name, params: {}, steps: SHORT },
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
  const secret = (name, used_by, version, reference = "") =>
    state.secrets.set(name, {
      name,
      version,
      fingerprint: sha(name).slice(0, 12),
      reference,
      set_at: before(86_400 * version),
      set_by: state.users[1].id,
      used_by,
    });
  secret("warehouse-password", ["warehouse"], 3);
  secret("shop-password", ["shop"], 1);
  secret("old-sftp-key", [], 1);
  secret("mail-token", [], 1, "bao:shop/mail#token");
  const past = (flow, result, age, counts, error = null) => {
    const [read, write] = flow === "flights-to-warehouse" ? ["flights", "write-6"] : ["rows", "write-2"];
    const receipts =
      result === "succeeded" || result === "finished_with_rejects"
        ? {
            [write]: {
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
    say("log", { message: "plan: general path, 1 segment", level: "info", step: read });
    say("progress", {
      steps: {
        [read]: { rows: counts.read, bytes: counts.bytes, total_bytes: counts.bytes, rejected: counts.rejected },
        [write]: { rows: counts.written, bytes: counts.bytes, total_bytes: null, rejected: 0 },
      },
      percent: 100,
      rate: 0,
    });
    if (counts.rejected)
      for (const line of [812, 4410, 9036])
        say("reject", { step: "valid", line, column: "delay_min", reason: "is not between -30 and 600" });
    if (error) say("log", { message: error.title, level: "error", step: read });
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
  const note = (action, who, result, about) =>
    state.audit.unshift({
      seq: state.audit.length + 1,
      at: before(5000 - state.audit.length * 300),
      action,
      result,
      who: who === null ? null : state.users[who].id,
      address: "192.0.2.14",
      client: "Mozilla/5.0",
      request: randomUUID(),
      about,
    });
  note("session.login", 0, "ok", {});
  note("definition.apply", 0, "asked", {});
  note("definition.apply", 0, "ok", { kind: "flow", name: "flights-to-warehouse", version: 4 });
  note("session.login", null, "denied", { email: "mallory@example.org" });
  note("secret.set", 1, "ok", { name: "warehouse-password", version: 3 });
  note("run.start", 2, "ok", { flow: "orders-hourly" });
  return state;
}
