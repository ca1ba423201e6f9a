import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo } from "react";
import { Link, useSearchParams } from "wouter";
import { api, type Run } from "../api";
import { bytes, count, elapsed } from "../format";
import { ended } from "../live";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Person } from "../parts/Person";
import { State, stateWords } from "../parts/State";
import { useNow, When } from "../parts/When";

/** How long the run took, or takes until now. */
export function Elapsed({ run }: { run: Pick<Run, "started" | "finished"> }): ReactNode {
  return elapsed(run.started, run.finished, useNow());
}

const COLUMNS = columnsOf<Run>([
  {
    id: "state",
    title: "State",
    look: "slim",
    value: (run) => stateWords(run.state),
    cell: (run) => <State state={run.state} />,
  },
  {
    id: "flow",
    title: "Flow",
    look: "main",
    value: (run) => run.flow,
    cell: (run) => <Link href={`/runs/${run.id}`}>{run.flow}</Link>,
  },
  { id: "version", title: "Version", numeric: true, look: "slim", value: (run) => run.flow_version },
  { id: "created", title: "Started", value: (run) => run.created, cell: (run) => <When at={run.created} /> },
  {
    id: "took",
    title: "Took",
    numeric: true,
    value: (run) => (run.started && run.finished ? Date.parse(run.finished) - Date.parse(run.started) : -1),
    cell: (run) => <Elapsed run={run} />,
  },
  {
    id: "read",
    title: "Read",
    numeric: true,
    value: (run) => run.counts.read ?? -1,
    cell: (run) => count(run.counts.read),
  },
  {
    id: "written",
    title: "Written",
    numeric: true,
    value: (run) => run.counts.written ?? -1,
    cell: (run) => count(run.counts.written),
  },
  {
    id: "rejected",
    title: "Rejected",
    numeric: true,
    value: (run) => run.counts.rejected ?? -1,
    cell: (run) => <span className={run.counts.rejected ? "some-rejects" : ""}>{count(run.counts.rejected)}</span>,
  },
  {
    id: "bytes",
    title: "Bytes",
    numeric: true,
    value: (run) => run.counts.bytes ?? -1,
    cell: (run) => bytes(run.counts.bytes),
  },
  { id: "by", title: "By", value: (run) => run.by, cell: (run) => <Person id={run.by} /> },
]);

const rowId = (run: Run) => run.id;
const text = (run: Run) => `${run.flow} ${stateWords(run.state)} ${run.id}`;

/** All runs, newest first; `?flow=` keeps to one flow. */
export function Runs(): ReactNode {
  const [search, setSearch] = useSearchParams();
  const flow = search.get("flow") ?? undefined;
  const query = useQuery({
    queryKey: ["runs", flow],
    queryFn: ({ signal }) => api.runs(flow, 200, signal),
    refetchInterval: ({ state }) => (state.data?.some((run) => !ended(run.state)) ? 2000 : 10_000),
  });
  const controls = useMemo(
    () =>
      flow ? (
        <span>
          Only <strong>{flow}</strong>{" "}
          <button type="button" className="link" onClick={() => setSearch({})}>
            Show all
          </button>
        </span>
      ) : null,
    [flow, setSearch],
  );
  return (
    <Page title="Runs">
      <Listing
        label="Runs"
        query={query}
        columns={COLUMNS}
        rowId={rowId}
        text={text}
        controls={controls}
        empty={
          <Empty title={flow ? `${flow} has not run yet.` : "Nothing has run yet."}>
            Open a flow and press Run, or use “sluice run FLOW --wait”.
          </Empty>
        }
      />
    </Page>
  );
}
