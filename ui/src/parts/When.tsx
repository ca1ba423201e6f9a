import { type ReactNode, useSyncExternalStore } from "react";
import { ago, moment, until } from "../format";

let now = Date.now();
const watchers = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  now = Date.now();
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of watchers) each();
  }, 1000);
  return () => {
    watchers.delete(watcher);
    if (watchers.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Return the time in milliseconds since 1970, renewed each second; one timer serves the page. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** A moment as "4 min ago", with the full time behind it. */
export function When({ at }: { at: string | null | undefined }): ReactNode {
  const current = useNow();
  if (!at) return <span className="dim">–</span>;
  return (
    <time dateTime={at} title={moment(at)}>
      {ago(at, current)}
    </time>
  );
}

/** A moment ahead as "in 29 days", with the full time behind it. */
export function Until({ at }: { at: string }): ReactNode {
  const current = useNow();
  return (
    <time dateTime={at} title={moment(at)}>
      {until(at, current)}
    </time>
  );
}
