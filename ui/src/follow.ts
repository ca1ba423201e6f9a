import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, type Run } from "./api";
import { EMPTY, fold, type Live } from "./live";
import { asProblem, type Problem } from "./problem";

const WAIT = 20;
const BATCH_PAUSE = 250;

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    });
  });
}

/** Read a run's events until the last one; call `heard` with what is known, `lost` with a fault and without one when it is over. */
async function follow(
  id: string,
  signal: AbortSignal,
  heard: (live: Live) => void,
  lost: (fault: Problem | undefined) => void,
): Promise<void> {
  let live = EMPTY;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const { items, done } = await api.events(id, live.seq, WAIT, signal);
      if (failures > 0) lost(undefined);
      failures = 0;
      live = fold(live, items);
      if (items.length > 0) heard(live);
      if (done) return;
      if (items.length > 0) await pause(BATCH_PAUSE, signal);
    } catch (fault) {
      if (signal.aborted) return;
      const problem = asProblem(fault);
      lost(problem);
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) return;
      failures += 1;
      await pause(Math.min(1000 * 2 ** failures, 15_000), signal);
    }
  }
}

/** Follow a run while the page is open. The run itself is asked for again whenever its state changes. */
export function useLive(id: string): { live: Live; fault: Problem | undefined } {
  const queries = useQueryClient();
  const [live, setLive] = useState<Live>(EMPTY);
  const [fault, setFault] = useState<Problem | undefined>();
  useEffect(() => {
    const stop = new AbortController();
    let state: Run["state"] | undefined;
    setLive(EMPTY);
    setFault(undefined);
    follow(
      id,
      stop.signal,
      (now) => {
        if (stop.signal.aborted) return;
        setLive(now);
        if (now.state !== state) {
          state = now.state;
          void queries.invalidateQueries({ queryKey: ["run", id] });
          void queries.invalidateQueries({ queryKey: ["runs"] });
        }
      },
      (problem) => {
        if (!stop.signal.aborted) setFault(problem);
      },
    );
    return () => stop.abort();
  }, [id, queries]);
  return { live, fault };
}
