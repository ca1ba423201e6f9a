import type { Back } from "./session";

const PATH = "/sso/callback/";

/**
 * What a provider of single sign-on has put into this page's address, which is taken out of it, and out of the history,
 * at once. `undefined`: this is another page. Without `told`, the provider has let nobody in.
 */
export function takeBack(): { told: Back | undefined } | undefined {
  const { pathname, search } = globalThis.location;
  if (!pathname.startsWith(PATH)) return undefined;
  globalThis.history.replaceState(null, "", "/");
  return { told: readBack(pathname, search) };
}

/** Read an address; `undefined` when something is missing, stands twice, or says that there was an error. */
export function readBack(pathname: string, search: string): Back | undefined {
  const found = new URLSearchParams(search);
  const [code, ...codes] = found.getAll("code");
  const [state, ...states] = found.getAll("state");
  const [iss, ...others] = found.getAll("iss");
  if (!code || !state || found.has("error") || codes.length + states.length + others.length > 0) return undefined;
  return { at: pathname.slice(PATH.length), code, state, ...(iss === undefined ? {} : { iss }) };
}
