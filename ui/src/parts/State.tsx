import type { ReactNode } from "react";
import type { RunState } from "../api";

const WORDS: Record<RunState, string> = {
  queued: "queued",
  running: "running",
  succeeded: "succeeded",
  finished_with_rejects: "finished with rejects",
  failed: "failed",
  cancelled: "cancelled",
};

const SHAPES: Record<RunState, string> = {
  queued: "M2.5 6a3.5 3.5 0 1 0 7 0 3.5 3.5 0 1 0-7 0",
  running: "M3.5 2.500v7l6-3.500z",
  succeeded: "M2 6.500l2.7 2.700L10 3.5",
  finished_with_rejects: "M6 1.800L10.8 10H1.200zM6 5v2.2",
  failed: "M2.8 2.800l6.4 6.400M9.2 2.800L2.8 9.2",
  cancelled: "M2.5 6h7",
};

/** Return the words for a run's state; one this page does not know is shown as it is. */
export function stateWords(state: RunState): string {
  return WORDS[state] ?? state;
}

/** A run's state as shape, colour and words. `live` makes it an announced status, for the one run a page is about. */
export function State({ state, live = false }: { state: RunState; live?: boolean }): ReactNode {
  return (
    <span className={`state state-${state}`} {...(live ? { role: "status" } : {})}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" focusable="false">
        <path
          d={SHAPES[state] ?? SHAPES.queued}
          fill={state === "running" ? "currentColor" : "none"}
          stroke="currentColor"
          strokeWidth="1.6"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      {stateWords(state)}
    </span>
  );
}
