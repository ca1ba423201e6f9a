import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { api, type Shelf } from "../api";
import { useMay } from "../may";
import { Person } from "../parts/Person";
import { State } from "../parts/State";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";

/** The newest runs of a flow. */
export function LastRuns({ flow }: { flow: string }): ReactNode {
  const may = useMay("run:read");
  const runs = useQuery({
    queryKey: ["runs", flow, 6],
    queryFn: ({ signal }) => api.runs(flow, 6, signal),
    enabled: may,
    refetchInterval: 5000,
  });
  if (!may) return null;
  return (
    <section className="panel" aria-labelledby="last-runs">
      <div className="panel-head">
        <h2 id="last-runs">Last runs</h2>
        <Link href={`/runs?flow=${encodeURIComponent(flow)}`}>All</Link>
      </div>
      {runs.error ? <Trouble fault={runs.error} /> : null}
      {runs.data?.length === 0 ? <p className="panel-body dim">This flow has not run yet.</p> : null}
      <ul className="rows">
        {runs.data?.map((run) => (
          <li key={run.id}>
            <Link href={`/runs/${run.id}`}>
              <State state={run.state} />
            </Link>
            <span className="dim">
              <When at={run.created} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface VersionsShown {
  shelf: Shelf;
  name: string;
  current: number;
  shown: number;
  onShow: (version: number | undefined) => void;
}

/** The versions of a definition; one of them is shown. */
export function Versions({ shelf, name, current, shown, onShow }: VersionsShown): ReactNode {
  const versions = useQuery({ queryKey: [shelf, name, "versions"], queryFn: () => api.versions(shelf, name) });
  const rows = [...(versions.data ?? [])].sort((a, b) => b.version - a.version);
  return (
    <section className="panel" aria-labelledby="versions">
      <div className="panel-head">
        <h2 id="versions">Versions</h2>
      </div>
      {versions.error ? <Trouble fault={versions.error} /> : null}
      <ul className="rows">
        {rows.map((row) => (
          <li key={row.version} {...(row.version === shown ? { className: "marked" } : {})}>
            <button
              type="button"
              className="link"
              aria-label={`Show version ${row.version}`}
              onClick={() => onShow(row.version === current ? undefined : row.version)}
            >
              {row.version}
              {row.version === current ? " (in force)" : ""}
            </button>
            <span className="dim">
              <Person id={row.author} />, <When at={row.created} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
