import type { ReactNode } from "react";
import type { Receipt, Run, StepProgress } from "../api";
import { bytes, count, NONE, rate } from "../format";
import type { Live } from "../live";

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

interface StepsShown {
  run: Run;
  live: Live;
  over: boolean;
  /** The type of each step by its name, in the flow's order. */
  types: ReadonlyMap<string, string>;
}

/** What each step has moved, as a channel that fills. */
export function Steps({ run, live, over, types }: StepsShown): ReactNode {
  const now = live.progress;
  const order = [...types.keys()];
  const place = (name: string) => (types.has(name) ? order.indexOf(name) : order.length);
  const rows = Object.entries(now?.steps ?? {}).sort(([a], [b]) => place(a) - place(b));
  return (
    <section className="panel" aria-labelledby="steps">
      <div className="panel-head">
        <h2 id="steps">Steps</h2>
        <span className="dim num">
          {run.state === "running" && typeof now?.percent === "number" ? `${Math.floor(now.percent)} %` : null}
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
                  <th scope="row">
                    {name} <span className="step-type">{types.get(name)}</span>
                  </th>
                  <td className="channel-cell">
                    <Channel
                      label={`Step ${name}`}
                      percent={shareOf(step)}
                      run={run}
                      rejects={step.rejected > 0 ? step.rejected / (step.rows + step.rejected) : 0}
                    />
                  </td>
                  <td className="num">{count(step.rows)}</td>
                  <td className={step.rejected ? "num some-rejects" : "num"}>{count(step.rejected)}</td>
                  <td className="num">
                    {step.bytes > 0 ? bytes(step.bytes) : NONE}
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

/** What became of the rows in a table, as far as it was counted. */
const changes = (receipt: Receipt): string =>
  (["inserted", "updated", "deleted", "unchanged"] as const)
    .flatMap((name) => (receipt[name] === undefined ? [] : [`${count(receipt[name])} ${name}`]))
    .join(", ");

/** What the destinations say has landed. */
export function Receipts({ receipts }: { receipts: Record<string, Receipt> }): ReactNode {
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
              <th scope="col">Of these</th>
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
                <td>{changes(receipt) || NONE}</td>
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
