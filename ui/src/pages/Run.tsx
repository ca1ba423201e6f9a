import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { api, type Receipt, type Run, type StepProgress } from "../api";
import { useLive } from "../follow";
import { bytes, clock, count, inline, moment, NONE, rate } from "../format";
import { ended, type Live, type LogLine } from "../live";
import { useMay } from "../may";
import { Confirm } from "../parts/Confirm";
import { Facts, Page } from "../parts/Page";
import { State } from "../parts/State";
import { Trouble } from "../parts/Trouble";
import { Problem } from "../problem";
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
          ["Started by", run.by],
          ["Started", moment(run.started ?? run.created)],
          ["Finished", moment(run.finished)],
          ["Flow version", run.flow_version],
          ...Object.entries(run.params).map(
            ([name, value]) => [name, <code key={name}>{inline(value)}</code>] as const,
          ),
          ["Run", <code key="id">{run.id}</code>],
        ]}
      />
      <Numbers run={run} live={live} over={over} />
      <Steps run={run} live={live} over={over} />
      <Receipts receipts={run.receipts ?? {}} />
      <Log lines={live.log} dropped={live.dropped} over={over} />
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

function Numbers({ run, live, over }: { run: Run; live: Live; over: boolean }): ReactNode {
  const { counts } = run;
  const now = live.progress;
  const rejected = Math.max(counts?.rejected ?? 0, 0);
  const items: [string, ReactNode, boolean][] = [
    ["Rows read", count(counts?.read), false],
    ["Rows written", count(counts?.written), false],
    ["Rows rejected", count(counts?.rejected), rejected > 0],
    ["Bytes", bytes(counts?.bytes), false],
    ["Rate", over ? rate(averageOf(run)) : rate(now?.rate), false],
    ["Time", <Elapsed key="time" run={run} />, false],
  ];
  return (
    <dl className="numbers">
      {items.map(([name, value, marked]) => (
        <div key={name} className={marked ? "number some" : "number"}>
          <dt>{over && name === "Rate" ? "Mean rate" : name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function averageOf(run: Run): number | undefined {
  if (!run.started || !run.finished || !run.counts) return undefined;
  const seconds = (Date.parse(run.finished) - Date.parse(run.started)) / 1000;
  return seconds > 0 ? run.counts.read / seconds : undefined;
}

/** Return the share that is done, from 0 to 100; `undefined` when the whole is not known. */
function shareOf(step: StepProgress): number | undefined {
  return step.total_bytes ? Math.min(100, (100 * step.bytes) / step.total_bytes) : undefined;
}

function Channel({
  label,
  percent,
  run,
  rejects = 0,
}: {
  label: string;
  percent: number | undefined;
  run: Run;
  rejects?: number;
}): ReactNode {
  const done = run.state === "succeeded" || run.state === "finished_with_rejects";
  const share = done ? 100 : percent;
  const open = share === undefined && run.state === "running";
  const look = done
    ? "channel-done"
    : run.state === "failed"
      ? "channel-fail"
      : run.state === "cancelled"
        ? "channel-halt"
        : "";
  return (
    <div
      className={`channel ${look} ${open ? "channel-open" : ""}`}
      role="progressbar"
      aria-label={label}
      {...(share === undefined ? {} : { "aria-valuenow": Math.round(share), "aria-valuemin": 0, "aria-valuemax": 100 })}
    >
      <div className="channel-fill" style={open ? undefined : { width: `${(share ?? 0) * (1 - rejects)}%` }} />
      {rejects > 0 ? (
        <div className="channel-rejects" style={{ width: `max(3px, ${(share ?? 100) * rejects}%)` }} />
      ) : null}
    </div>
  );
}

function Steps({ run, live, over }: { run: Run; live: Live; over: boolean }): ReactNode {
  const now = live.progress;
  const rows = Object.entries(now?.steps ?? {});
  return (
    <section className="panel" aria-labelledby="steps">
      <div className="panel-head">
        <h2 id="steps">Steps</h2>
        <span className="dim num">
          {run.state === "succeeded" || run.state === "finished_with_rejects"
            ? "100 %"
            : typeof now?.percent === "number"
              ? `${Math.floor(now.percent)} %`
              : ""}
        </span>
      </div>
      {rows.length === 0 ? (
        <div className="panel-body">
          {over ? (
            <p className="dim">No step reported any rows.</p>
          ) : (
            <Channel label="The whole run" percent={run.state === "queued" ? 0 : undefined} run={run} />
          )}
        </div>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to scroll by keyboard
        <section className="scroll-x" aria-label="Progress of each step" tabIndex={0}>
          <table className="steps">
            <thead>
              <tr>
                <th scope="col">Step</th>
                <th scope="col">Progress</th>
                <th scope="col" className="num">
                  Rows
                </th>
                <th scope="col" className="num">
                  Rejected
                </th>
                <th scope="col" className="num">
                  Bytes
                </th>
                {over ? null : (
                  <th scope="col" className="num">
                    Rate
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {rows.map(([name, step]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td className="channel-cell">
                    <Channel
                      label={`Step ${name}`}
                      percent={shareOf(step)}
                      run={run}
                      rejects={step.rows > 0 ? Math.min(1, step.rejected / step.rows) : 0}
                    />
                  </td>
                  <td className="num">{count(step.rows)}</td>
                  <td className={step.rejected ? "num some-rejects" : "num"}>{count(step.rejected)}</td>
                  <td className="num">
                    {bytes(step.bytes)}
                    {step.total_bytes && !over ? <span className="dim"> of {bytes(step.total_bytes)}</span> : null}
                  </td>
                  {over ? null : <td className="num">{rate(live.rates[name])}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  );
}

function Receipts({ receipts }: { receipts: Record<string, Receipt> }): ReactNode {
  const rows = Object.entries(receipts);
  if (rows.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="receipts">
      <div className="panel-head">
        <h2 id="receipts">What landed</h2>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to scroll by keyboard */}
      <section className="scroll-x" aria-label="Receipts" tabIndex={0}>
        <table className="steps">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col" className="num">
                Rows
              </th>
              <th scope="col" className="num">
                Bytes
              </th>
              <th scope="col">Guarantee</th>
              <th scope="col">SHA-256</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, receipt]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td className="num">{count(receipt.rows)}</td>
                <td className="num">{bytes(receipt.bytes)}</td>
                <td>
                  {receipt.guarantee}
                  {receipt.repeated ? <span className="dim"> (was there already, not loaded twice)</span> : null}
                </td>
                <td>{receipt.sha256 ? <code title={receipt.sha256}>{receipt.sha256.slice(0, 16)}…</code> : NONE}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}

function Log({ lines, dropped, over }: { lines: readonly LogLine[]; dropped: number; over: boolean }): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const [moved, setMoved] = useState(false);
  // The view stays at the end unless the reader has scrolled up to read.
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are what moves the end
  useLayoutEffect(() => {
    if (frame.current && stuck.current) frame.current.scrollTop = frame.current.scrollHeight;
  }, [lines]);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const look = () => {
      stuck.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
      setMoved(!stuck.current);
    };
    element.addEventListener("scroll", look, { passive: true });
    return () => element.removeEventListener("scroll", look);
  }, []);
  return (
    <section className="panel" aria-labelledby="log">
      <div className="panel-head">
        <h2 id="log">Log</h2>
        {moved && !over ? (
          <button
            type="button"
            className="link"
            onClick={() => {
              if (frame.current) frame.current.scrollTop = frame.current.scrollHeight;
            }}
          >
            Follow the end
          </button>
        ) : (
          <span className="dim">{count(lines.length + dropped)} lines</span>
        )}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to scroll by keyboard */}
      <div className="log" role="log" aria-labelledby="log" tabIndex={0} ref={frame}>
        {dropped > 0 ? (
          <p className="log-empty">{count(dropped)} earlier lines are not shown. “sluice logs” prints them all.</p>
        ) : null}
        {lines.length === 0 ? (
          <p className="log-empty">{over ? "The run said nothing." : "Nothing has been said yet."}</p>
        ) : null}
        {lines.map((line) => (
          <div key={line.seq} className={`log-line log-${line.level.toLowerCase().replace(/[^a-z]/g, "")}`}>
            <time dateTime={line.at}>{clock(line.at)}</time>
            <span className="log-level">{line.level}</span>
            <span>
              {line.step ? <span className="log-step">{line.step} </span> : null}
              {line.text}
            </span>
          </div>
        ))}
      </div>
    </section>
  );
}
