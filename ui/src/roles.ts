import type { Permission, Role } from "./api";

/** The six roles, lowest first, as the server ranks them: nobody may give one above their own. */
const RANKED = [
  "api_user",
  "viewer",
  "operator",
  "editor",
  "administrator",
  "superadmin",
] as const satisfies readonly Role[];

const WORDS: Record<string, string> = {
  superadmin: "SuperAdmin",
  administrator: "Administrator",
  editor: "Editor",
  operator: "Operator",
  viewer: "Viewer",
  api_user: "API User",
};

export const ROLE_NOTES: Record<string, string> = {
  administrator: "Manages the tenant: users, policy, audit trail, and all below.",
  editor: "Writes flows and connections, sets secrets, and all below.",
  operator: "Starts and stops runs, sees connections, and all below.",
  viewer: "Sees flows and runs.",
  api_user: "For programs that call published endpoints. Sees no pages.",
};

/** Return a role's name as people write it. */
export function roleWords(role: string): string {
  return WORDS[role] ?? role;
}

/** Return the roles a person of `role` may give within a tenant, highest first. A SuperAdmin belongs to none. */
export function rolesToGive(role: string): Role[] {
  const own = (RANKED as readonly string[]).indexOf(role);
  const give = RANKED.filter((each, rank) => rank <= own && each !== "superadmin");
  return [...give].reverse();
}

const VIEW: readonly Permission[] = ["self:use", "flow:read", "run:read"];
const OPERATE: readonly Permission[] = [...VIEW, "connection:read", "data:read", "run:control"];
const EDIT: readonly Permission[] = [...OPERATE, "definition:write", "secret:write"];
const ADMINISTER: readonly Permission[] = [
  ...EDIT,
  "secret:link",
  "user:manage",
  "audit:read",
  "data:reveal",
  "support:grant",
];

/** What each role within a tenant may do, as the server's table has it (a test compares the two). */
export const GRANTS: Readonly<Record<Exclude<Role, "superadmin">, readonly Permission[]>> = {
  api_user: ["self:use"],
  viewer: VIEW,
  operator: OPERATE,
  editor: EDIT,
  administrator: ADMINISTER,
};

/** What a permission lets somebody do, in plain words. */
export const PERMISSION_NOTES: Readonly<Record<Permission, string>> = {
  "self:use": "Say who it is, see and end its own keys.",
  "flow:read": "See flows and their versions.",
  "run:read": "See runs, their progress and logs.",
  "connection:read": "See connections, recipients and the names of secrets.",
  "data:read": "See rows: previews, items, rejected rows.",
  "data:reveal": "Run flows that take masks off.",
  "run:control": "Start and cancel runs.",
  "definition:write": "Write flows, connections and recipients.",
  "secret:write": "Set and delete secrets.",
  "secret:link": "Say where secrets come from: secret managers, environment, files.",
  "user:manage": "Manage users, keys and the policy of the tenant.",
  "audit:read": "Read the audit trail.",
  "support:grant": "Let a SuperAdmin see rows for a while.",
  "tenant:manage": "Manage tenants.",
};

/** Return the roles that a service user made by a person of `role` may have: those below, highest first. */
export function rolesOfServices(role: string): Role[] {
  return rolesToGive(role).filter((each) => each !== role);
}

/** What only a person may do, so that no key gets it. */
const OF_PEOPLE: readonly Permission[] = ["support:grant", "tenant:manage"];

/** Return the scopes a key may have: what its owner's role and its maker both may do. */
export function scopesOf(role: string, permissions: readonly Permission[]): Permission[] {
  const granted = GRANTS[role as keyof typeof GRANTS] ?? [];
  return granted.filter((each) => permissions.includes(each) && !OF_PEOPLE.includes(each));
}
