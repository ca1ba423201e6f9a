/** A one-time link by which somebody came: `#/invitation/…`, `#/reset/…` or `#/email/…`. */
export interface Arrival {
  page: "invitation" | "reset" | "email";
  token: string;
}

/** Return what a fragment says, if it is one of ours. */
export function readArrival(fragment: string): Arrival | undefined {
  const [, page, token] = /^#\/(invitation|reset|email)\/([\w-]+)$/.exec(fragment) ?? [];
  return page && token ? { page: page as Arrival["page"], token } : undefined;
}

let held: Arrival | undefined;
const watchers = new Set<() => void>();

function set(arrival: Arrival | undefined): void {
  held = arrival;
  for (const watcher of watchers) watcher();
}

/** Take the link's token out of the address bar and the history at once: it must not be seen, shared or kept there. */
function take(): void {
  const found = readArrival(location.hash);
  if (!found) return;
  history.replaceState(null, "", "/");
  set(found);
}

export const arrival = {
  /** Look at the address now, and whenever a link is opened in a page that is open already. */
  watch: (): void => {
    take();
    addEventListener("hashchange", take);
  },
  snapshot: (): Arrival | undefined => held,
  subscribe: (watcher: () => void): (() => void) => {
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  },
  /** The link has done what it was for, or the person went elsewhere. */
  done: (): void => set(undefined),
};
