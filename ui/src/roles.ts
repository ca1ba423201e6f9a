import type { Role } from "./api";

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
