/**
 * Every question this page asks the server, with its types, in one place. The shapes are the server's OpenAPI document;
 * `npm run api` writes it out as types to compare with.
 */
import { session } from "./session";

export type Permission =
  | "audit:read"
  | "connection:read"
  | "data:read"
  | "definition:write"
  | "flow:read"
  | "run:control"
  | "run:read"
  | "secret:write"
  | "self:use"
  | "tenant:manage"
  | "user:manage";

export interface Who {
  id: string;
  email: string;
  name: string;
  role: string;
  tenant: string | null;
  tenant_name: string | null;
  permissions: Permission[];
}

export interface Health {
  bootstrap?: boolean;
}

export type RunState = "queued" | "running" | "succeeded" | "finished_with_rejects" | "failed" | "cancelled";

/** The part of the address under which each kind of definition is listed. */
export type Shelf = "flows" | "connections" | "recipients";

export interface DefinitionRow {
  name: string;
  version: number;
  digest: string;
  author: string;
  created: string;
  last_run?: { id: string; state: RunState; created: string } | null;
}

export interface Definition {
  kind: string;
  name: string;
  version: number;
  digest: string;
  author: string;
  created: string;
  source: string;
  body: Record<string, unknown>;
}

export interface Version {
  version: number;
  digest: string;
  author: string;
  created: string;
}

export interface Saved {
  kind: string;
  name: string;
  version: number;
  changed: boolean;
  /** Secrets that were cleared because the connection leads elsewhere now. */
  cleared?: string[];
}

export interface ProblemBody {
  type?: string;
  code: string;
  status: number;
  title: string;
  where?: string;
  hint?: string;
}

export interface Receipt {
  rows: number;
  bytes: number | null;
  sha256: string | null;
  guarantee: string;
  repeated: boolean;
}

export interface Run {
  id: string;
  flow: string;
  flow_version: number;
  state: RunState;
  by: string;
  created: string;
  started: string | null;
  finished: string | null;
  params: Record<string, unknown>;
  /** Empty until the run has ended. */
  counts: { read?: number; written?: number; rejected?: number; bytes?: number };
  error: ProblemBody | null;
  receipts: Record<string, Receipt>;
}

export interface StepProgress {
  rows: number;
  bytes: number;
  total_bytes: number | null;
  rejected: number;
}

export interface Progress {
  steps: Record<string, StepProgress>;
  percent: number | null;
  rate: number | null;
}

interface At {
  seq: number;
  at: string;
}

export type RunEvent = At &
  (
    | { kind: "progress"; body: Progress }
    | { kind: "state"; body: { state?: RunState } & Record<string, unknown> }
    | { kind: "log" | "schema" | "receipt" | "reject"; body: Record<string, unknown> }
  );

export interface Events {
  items: RunEvent[];
  /** True when the run is over and these are its last events. */
  done: boolean;
}

/** Rows in quarantine, as the step met them. */
export interface Rejects {
  items: Record<string, unknown>[];
  total: number;
}

export interface SecretRow {
  name: string;
  version: number;
  fingerprint: string;
  set_at: string;
  set_by: string;
  used_by: string[];
}

export interface UserRow {
  id: string;
  email: string;
  name: string;
  role: string;
  state: string;
  created: string;
  last_sign_in: string | null;
}

export interface TenantRow {
  id: string;
  name: string;
  state: string;
  created: string;
}

export interface AuditRow {
  seq: number;
  at: string;
  action: string;
  result: string;
  who?: string | null;
  role?: string | null;
  via?: string | null;
  address?: string | null;
  client?: string | null;
  request?: string | null;
  about?: Record<string, unknown>;
}

interface Items<T> {
  items: T[];
}

const enc = encodeURIComponent;

async function list<T>(
  path: string,
  query: Record<string, string | number | undefined>,
  signal?: AbortSignal,
): Promise<T[]> {
  const answer = (await session.request("GET", path, { query, ...(signal ? { signal } : {}) })) as Items<T>;
  return answer.items;
}

export const api = {
  health: async (signal?: AbortSignal) => (await session.open("/health", signal)) as Health,
  whoami: async () => (await session.request("GET", "/session/whoami")) as Who,

  definitions: (shelf: Shelf, signal?: AbortSignal) => list<DefinitionRow>(`/${shelf}`, {}, signal),
  definition: async (shelf: Shelf, name: string, version?: number) =>
    (await session.request("GET", `/${shelf}/${enc(name)}`, { query: { version } })) as Definition,
  versions: (shelf: Shelf, name: string) => list<Version>(`/${shelf}/${enc(name)}/versions`, {}),
  save: async (source: string) =>
    ((await session.request("POST", "/definitions", { body: { source } })) as Items<Saved>).items,
  validate: async (source: string) => {
    await session.request("POST", "/definitions/validate", { body: { source } });
  },

  deleteDefinition: async (shelf: Shelf, name: string) => {
    await session.request("DELETE", `/${shelf}/${enc(name)}`);
  },
  testConnection: async (name: string) =>
    (await session.request("POST", `/connections/${enc(name)}/test`, { body: {} })) as { name: string; answer: string },

  startRun: async (flow: string, params: Record<string, unknown>) =>
    (await session.request("POST", `/flows/${enc(flow)}/runs`, { body: { params } })) as { id: string },
  runs: (flow?: string, limit = 100, signal?: AbortSignal) => list<Run>("/runs", { limit, flow }, signal),
  run: async (id: string) => (await session.request("GET", `/runs/${enc(id)}`)) as Run,
  /** Wait up to `wait` seconds (20 at the most) for events past `after`. */
  events: async (id: string, after: number, wait: number, signal: AbortSignal) =>
    (await session.request("GET", `/runs/${enc(id)}/events`, { query: { after, wait }, signal })) as Events,
  rejects: async (id: string, limit = 100) =>
    (await session.request("GET", `/runs/${enc(id)}/rejects`, { query: { limit } })) as Rejects,
  cancelRun: async (id: string) => {
    await session.request("POST", `/runs/${enc(id)}/cancel`, { body: {} });
  },

  secrets: () => list<SecretRow>("/secrets", {}),
  setSecret: async (name: string, value: string) => {
    await session.request("PUT", `/secrets/${enc(name)}`, { body: { value } });
  },
  deleteSecret: async (name: string) => {
    await session.request("DELETE", `/secrets/${enc(name)}`);
  },

  users: () => list<UserRow>("/users", {}),
  createUser: async (form: { email: string; name: string; role: string }) =>
    (await session.request("POST", "/users", { body: form })) as { id: string; password: string },
  deactivateUser: async (id: string) => {
    await session.request("POST", `/users/${enc(id)}/deactivate`, { body: {} });
  },
  tenants: () => list<TenantRow>("/tenants", {}),
  createTenant: async (name: string) => {
    await session.request("POST", "/tenants", { body: { name } });
  },
  audit: (limit = 200) => list<AuditRow>("/audit", { limit }),
};
