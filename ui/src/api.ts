/**
 * Every question this page asks the server, in one place. Paths, questions and answers are typed by the server's OpenAPI
 * document (`openapi.d.ts`, written by `tools/client.py`); what it leaves open is narrowed here.
 */
import { ask, type Narrow, type Schema } from "./ask";
import { Problem } from "./problem";
import { session } from "./session";

export type Permission = Schema["Permission"];
export type RunState = "queued" | "running" | "succeeded" | "finished_with_rejects" | "failed" | "cancelled";
/** The part of the address under which each kind of definition is listed. */
export type Shelf = "flows" | "connections" | "recipients";

export type Who = Narrow<Schema["Whoami"], { permissions: Permission[] }>;
export type DefinitionRow = Narrow<
  Schema["Listed"],
  { last_run: Narrow<Schema["LastRun"], { state: RunState }> | null }
>;
export type Role = Schema["Role"];
export type Definition = Schema["Shown"];
export type Version = Schema["Version"];
export type Saved = Schema["Applied"];
export type ProblemBody = Schema["Problem"];
export type SecretRow = Schema["Kept"];
export type UserRow = Schema["User"];
export type TenantRow = Schema["Tenant"];
export type KeyRow = Schema["Key"];
export type SuperadminRow = Schema["Superadmin"];
export type LinkSent = Schema["LinkSent"];
export type SupportRow = Schema["Access"];
export type Setting = Schema["Setting"];
export type KeyForm = Schema["KeyAsk"];
export type Provider = Schema["ProviderShown"];
export type ProviderForm = Schema["ProviderAsk"];
export type MailRow = Schema["MailView"];
export type AuditRow = Schema["AuditRecord"];

/** What is downloaded or followed with a ticket. */
export type Served = "run.log" | "run.rejected" | "run.watch" | "audit.export";

export type Receipt = {
  rows: number;
  inserted?: number;
  updated?: number;
  deleted?: number;
  unchanged?: number;
  bytes: number | null;
  sha256: string | null;
  guarantee: string;
  repeated: boolean;
};
export type Run = Narrow<
  Schema["Run"],
  {
    state: RunState;
    /** Empty until the run has ended. */
    counts: { read?: number; written?: number; rejected?: number; bytes?: number };
    error: Omit<ProblemBody, "request"> | null;
    receipts: { [step: string]: Receipt };
  }
>;

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

export type RunEvent = Omit<Schema["Event"], "kind" | "body"> &
  (
    | { kind: "progress"; body: Progress }
    | { kind: "state"; body: { state?: RunState } & Record<string, unknown> }
    | { kind: "log" | "schema" | "receipt" | "reject"; body: Record<string, unknown> }
  );

/** `done`: the run is over and these are its last events. */
export type Events = Omit<Schema["Events"], "items"> & { items: RunEvent[] };

export const api = {
  health: async (signal?: AbortSignal) => (await session.open("/health", signal)) as Schema["Health"],
  seal: async (signal?: AbortSignal) => (await session.open("/seal", signal)) as Schema["SealProgress"],
  unseal: (share: string) => session.openly("/seal/open", { share }),
  whoami: async () => (await ask("get", "/api/v1/session/whoami", {})) as Who,

  definitions: async (shelf: Shelf, signal?: AbortSignal) =>
    (await ask("get", `/api/v1/${shelf}`, { signal })).items as DefinitionRow[],
  definition: (shelf: Shelf, name: string, version?: number) =>
    ask("get", `/api/v1/${shelf}/{name}`, { places: { name }, query: { version } }),
  versions: async (shelf: Shelf, name: string) =>
    (await ask("get", `/api/v1/${shelf}/{name}/versions`, { places: { name } })).items,
  save: async (source: string) => (await ask("post", "/api/v1/definitions", { body: { source } })).items,
  validate: async (source: string) => {
    await ask("post", "/api/v1/definitions/validate", { body: { source } });
  },
  deleteDefinition: async (shelf: Shelf, name: string) => {
    await ask("delete", `/api/v1/${shelf}/{name}`, { places: { name } });
  },
  testConnection: (name: string) => ask("post", "/api/v1/connections/{name}/test", { places: { name } }),

  detect: (name: string, item: string) =>
    ask("post", "/api/v1/connections/{name}/detect", { places: { name }, body: { item } }),

  startRun: (flow: string, params: Record<string, unknown>) =>
    ask("post", "/api/v1/flows/{name}/runs", { places: { name: flow }, body: { params } }),
  runs: async (flow?: string, limit = 100, signal?: AbortSignal) =>
    (await ask("get", "/api/v1/runs", { query: { limit, flow }, signal })).items as Run[],
  run: async (id: string) => (await ask("get", "/api/v1/runs/{id}", { places: { id } })) as Run,
  /** Wait up to `wait` seconds (20 at the most) for events past `after`. */
  events: async (id: string, after: number, wait: number, signal: AbortSignal) =>
    (await ask("get", "/api/v1/runs/{id}/events", { places: { id }, query: { after, wait }, signal })) as Events,
  /** Rows in quarantine, as the step met them. */
  rejects: (id: string, limit = 100) => ask("get", "/api/v1/runs/{id}/rejects", { places: { id }, query: { limit } }),
  cancelRun: async (id: string) => {
    await ask("post", "/api/v1/runs/{id}/cancel", { places: { id } });
  },

  /** A ticket for a download: its `url` is good once, for half a minute. */
  ticket: (operation: Served, question: Record<string, unknown>) =>
    ask("post", "/api/v1/tickets", { body: { operation, ask: question } }),

  secrets: async () => (await ask("get", "/api/v1/secrets", {})).items,
  setSecret: async (name: string, value: string) => {
    await ask("put", "/api/v1/secrets/{name}", { places: { name }, body: { value } });
  },
  /** Have a secret come from `reference`: a secret manager, or what the operator lets this tenant take. */
  linkSecret: async (name: string, reference: string) => {
    await ask("put", "/api/v1/secrets/{name}/reference", { places: { name }, body: { reference } });
  },
  testSecret: async (name: string) => (await ask("post", "/api/v1/secrets/{name}/test", { places: { name } })).answer,
  deleteSecret: async (name: string, kind: SecretRow["kind"]) => {
    await ask("delete", "/api/v1/secrets/{name}", { places: { name }, query: { kind } });
  },

  users: async () => (await ask("get", "/api/v1/users", {})).items,
  createUser: (form: { email: string; name: string; role: Role }) => ask("post", "/api/v1/users", { body: form }),
  deactivateUser: async (id: string) => {
    await ask("post", "/api/v1/users/{id}/deactivate", { places: { id } });
  },
  /** Ask somebody to come. The answer holds the link when no mail is set up. */
  invite: (form: { email: string; name: string; role: Role }) => ask("post", "/api/v1/invitations", { body: form }),
  resendInvitation: (id: string) => ask("post", "/api/v1/invitations/{id}/resend", { places: { id } }),
  cancelInvitation: async (id: string) => {
    await ask("delete", "/api/v1/invitations/{id}", { places: { id } });
  },
  /** Send somebody a link for a new password. The answer holds it when no mail is set up. */
  offerReset: (id: string) => ask("post", "/api/v1/users/{id}/reset", { places: { id } }),
  reactivateUser: async (id: string) => {
    await ask("post", "/api/v1/users/{id}/reactivate", { places: { id } });
  },
  setAddresses: async (id: string, addresses: string[]) => {
    await ask("put", "/api/v1/users/{id}/addresses", { places: { id }, body: { addresses } });
  },
  createService: (form: { name: string; role: Role }) => ask("post", "/api/v1/services", { body: form }),

  policy: () => ask("get", "/api/v1/policy", {}),
  /** Replace the whole policy: what is left out is as the installation has it. */
  setPolicy: (policy: Schema["NewPolicy"]) => ask("put", "/api/v1/policy", { body: policy }),
  setRole: (id: string, role: Role) => ask("put", "/api/v1/users/{id}/role", { places: { id }, body: { role } }),

  /** One's own keys; for an administrator, those of the whole tenant. */
  keys: async () => (await ask("get", "/api/v1/keys", {})).items,
  createKey: (form: KeyForm) => ask("post", "/api/v1/keys", { body: form }),
  revokeKey: async (id: string) => {
    await ask("delete", "/api/v1/keys/{id}", { places: { id } });
  },

  tenants: async () => (await ask("get", "/api/v1/tenants", {})).items,
  createTenant: async (name: string) => {
    await ask("post", "/api/v1/tenants", { body: { name } });
  },
  suspendTenant: async (id: string) => {
    await ask("post", "/api/v1/tenants/{id}/suspend", { places: { id } });
  },
  resumeTenant: async (id: string) => {
    await ask("post", "/api/v1/tenants/{id}/resume", { places: { id } });
  },
  superadmins: async () => (await ask("get", "/api/v1/superadmins", {})).items,
  createSuperadmin: (form: { email: string; name: string }) => ask("post", "/api/v1/superadmins", { body: form }),
  setSuperadmin: async (id: string, act: "activate" | "deactivate") => {
    await ask("post", `/api/v1/superadmins/{id}/${act}`, { places: { id } });
  },
  resetSuperadmin: async (id: string) => {
    await ask("post", "/api/v1/superadmins/{id}/factors/reset", { places: { id } });
  },

  /** Mails to the tenant's people, the newest first, without what stands in them. */
  mails: async () => (await ask("get", "/api/v1/mails", { query: { limit: 200 } })).items,
  testMail: async () => {
    await ask("post", "/api/v1/mails/test", {});
  },

  /** Which support accesses the tenant has given: a SuperAdmin sees its rows by them. */
  support: async () => (await ask("get", "/api/v1/support", {})).items,
  grantSupport: (form: Schema["GrantAsk"]) => ask("post", "/api/v1/support", { body: form }),
  revokeSupport: async (id: string) => {
    await ask("delete", "/api/v1/support/{id}", { places: { id } });
  },
  audit: async (limit = 200) => (await ask("get", "/api/v1/audit", { query: { limit } })).items,

  profile: () => ask("get", "/api/v1/profile", {}),
  setProfile: (form: { name: string; language: string; zone: string }) => ask("put", "/api/v1/profile", { body: form }),
  changeEmail: async (email: string) => {
    await ask("post", "/api/v1/profile/email", { body: { email } });
  },
  signIns: async () => (await ask("get", "/api/v1/grants", {})).items,
  endSignIn: async (id: string) => {
    await ask("delete", "/api/v1/grants/{id}", { places: { id } });
  },
  endOtherSignIns: () => ask("post", "/api/v1/grants/others/end", {}),
  notices: async () => (await ask("get", "/api/v1/notices", {})).items,

  /** What needs no sign-in: its proof is the token of a link, or nothing is told. */
  forgotPassword: async (form: Schema["ForgotAsk"]) => session.openly("/password/forgot", form),
  resetPassword: async (form: Schema["ResetAsk"]) => session.openly("/password/reset", form),
  confirmEmail: async (form: Schema["ConfirmAsk"]) => session.openly("/profile/confirm", form),

  /** The tenant's provider of single sign-on; `null` when there is none. */
  provider: async () => {
    try {
      return await ask("get", "/api/v1/sso", {});
    } catch (fault) {
      if (fault instanceof Problem && fault.code === "missing") return null;
      throw fault;
    }
  },
  setProvider: (form: ProviderForm) => ask("put", "/api/v1/sso", { body: form }),
  removeProvider: async () => {
    await ask("delete", "/api/v1/sso", {});
  },
  testProvider: () => ask("post", "/api/v1/sso/test", {}),
  /** Want single sign-on of everybody in the tenant, or no longer; the rest of its policy stays. */
  requireSso: async (required: boolean) => {
    const policy = await ask("get", "/api/v1/policy", {});
    const said = policy.items.filter(({ origin }) => origin === "tenant").map(({ name, value }) => [name, value]);
    await ask("put", "/api/v1/policy", { body: { ...Object.fromEntries(said), sso_required: required } });
  },

  factors: () => ask("get", "/api/v1/factors", {}),
  beginFactor: (name: string) => ask("post", "/api/v1/factors", { body: { name } }),
  confirmFactor: (id: string, code: string) =>
    ask("post", "/api/v1/factors/{id}/confirm", { places: { id }, body: { code } }),
  removeFactor: async (id: string) => {
    await ask("delete", "/api/v1/factors/{id}", { places: { id } });
  },
  renewCodes: () => ask("post", "/api/v1/factors/codes", {}),
  resetFactors: async (id: string) => {
    await ask("post", "/api/v1/users/{id}/factors/reset", { places: { id } });
  },
};
