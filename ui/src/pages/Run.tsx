import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { Link } from "wouter";
import { api, type Run } from "../api";
import { useLive } from "../follow";
import { bytes, count, inline, moment, rate } from "../format";
import { ended, type Live } from "../live";
import { useMay } from "../may";
import { Confirm } from "../parts/Confirm";
import { Facts, Page } from "../parts/Page";
import { Person } from "../parts/Person";
import { State } from "../parts/State";
import { Trouble } from "../parts/Trouble";
import { Problem } from "../problem";
import { stepTypes, totals } from "../steps";
import { Rejected } from "./Rejected";
import { RunLog } from "./RunLog";
import { Receipts, Steps } from "./RunSteps";
import { Elapsed } from "./Runs";

/** One run: what it does now, what landed, and all it said. */
export function RunPage({ id }: { id: string }): ReactNode {
  const { live, fault } = useLive(id);
  const query = useQuery({
    queryKey: ["run", id],
    queryFn: () => api.run(id),
    refetchInterval: ({ state }) => (state.data && !ended(state.data.state) ? 5000 : false),
  });
  const back = <Link href="/runs">Runs</Link>;
  if (query.error && !query.data)
    return (
      <Page title="Run" back={back}>
        <Trouble fault={query.error} />
      </Page>
    );
  if (!query.data)
    return (
      <Page title="Run" back={back}>
        <output className="waiting">Reading…</output>
      </Page>
    );
  return <Shown run={query.data} live={live} fault={fault} />;
}

function Shown({ run, live, fault }: { run: Run; live: Live; fault: Problem | undefined }): ReactNode {
  const mayRead = useMay("flow:read");
  const over = ended(run.state);
  const flow = useQuery({
    queryKey: ["flows", run.flow, run.flow_version],
    queryFn: () => api.definition("flows", run.flow, run.flow_version),
    enabled: mayRead,
    staleTime: Number.POSITIVE_INFINITY,
  });
  // Without the flow (it may have been deleted) the steps are shown in the order they report, without their types.
  const types = useMemo(() => stepTypes(flow.data?.body ?? {}), [flow.data]);
  return (
    <Page
      title={run.flow}
      back={<Link href="/runs">Runs</Link>}
      beside={<State state={run.state} live />}
      actions={
        <>
          {mayRead ? (
            <Button variant="default" component={Link} href={`/flows/${encodeURIComponent(run.flow)}`}>
              Open flow
            </Button>
          ) : null}
          {over ? null : <CancelButton run={run} />}
        </>
      }
    >
      {run.error ? (
        <Trouble fault={new Problem(run.error)} what={run.state === "failed" ? "The run failed" : "Why it ended"} />
      ) : null}
      {fault && !over ? <Trouble fault={fault} what="The live view is interrupted" /> : null}
      <Facts
        items={[
          ["Started by", <Person key="by" id={run.by} />],
          ["Started", moment(run.started ?? run.created)],
          ["Finished", moment(run.finished)],
          ["Flow version", run.flow_version],
          ...Object.entries(run.params).map(
            ([name, value]) => [name, <code key={name}>{inline(value)}</code>] as const,
          ),
          ["Run", <code key="id">{run.id}</code>],
        ]}
      />
      <Numbers run={run} live={live} over={over} types={types} />
      <Steps run={run} live={live} over={over} types={types} />
      <Receipts receipts={run.receipts} />
      {over && run.counts.rejected ? <Rejected run={run.id} /> : null}
      <RunLog run={run.id} lines={live.log} dropped={live.dropped} over={over} />
    </Page>
  );
}

function CancelButton({ run }: { run: Run }): ReactNode {
  const may = useMay("run:control");
  const [asking, setAsking] = useState(false);
  const cache = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => api.cancelRun(run.id),
    onSuccess: () => {
      setAsking(false);
      void cache.invalidateQueries({ queryKey: ["run", run.id] });
    },
  });
  if (!may) return null;
  return (
    <>
      <Button variant="default" className="danger-quiet" disabled={cancel.isSuccess} onClick={() => setAsking(true)}>
        {cancel.isSuccess ? "Cancelling…" : "Cancel run"}
      </Button>
      {asking ? (
        <Confirm
          title={`Cancel this run of ${run.flow}?`}
          act="Cancel the run"
          busy={cancel.isPending}
          fault={cancel.error}
          onAct={() => cancel.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>It stops after the batch it is moving. Rows that were not yet made visible in the target are discarded.</p>
        </Confirm>
      ) : null}
    </>
  );
}

interface NumbersShown {
  run: Run;
  live: Live;
  over: boolean;
  types: ReadonlyMap<string, string>;
}

function Numbers({ run, live, over, types }: NumbersShown): ReactNode {
  // The server counts what has been carried through. Until then, and for what a broken-off run had read, the steps'
  // own reports are added up; what was written is then only what has landed.
  const seen = totals(live.progress?.steps ?? {}, types);
  const broken = run.state === "failed" || run.state === "cancelled";
  const counts = broken ? { ...run.counts, ...seen, written: run.counts.written } : over ? run.counts : seen;
  const items: [string, ReactNode, boolean][] = [
    ["Rows read", count(counts.read), false],
    ["Rows written", count(counts.written), false],
    ["Rows rejected", count(counts.rejected), (counts.rejected ?? 0) > 0],
    ["Bytes read", bytes(counts.bytes), false],
    [over ? "Mean rate" : "Rate", over ? rate(averageOf(run, counts.read)) : rate(live.progress?.rate), false],
    ["Time", <Elapsed key="time" run={run} />, false],
  ];
  return (
    <dl className="numbers">
      {items.map(([name, value, marked]) => (
        <div key={name} className={marked ? "number some" : "number"}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function averageOf(run: Run, rows: number | undefined): number | undefined {
  if (!run.started || !run.finished || rows === undefined) return undefined;
  const seconds = (Date.parse(run.finished) - Date.parse(run.started)) / 1000;
  return seconds > 0 ? rows / seconds : undefined;
}
