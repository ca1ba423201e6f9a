import { Button } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "../api";
import { count, inline } from "../format";
import { useMay } from "../may";
import { Download } from "../parts/Download";
import { Trouble } from "../parts/Trouble";

/** Rows in quarantine. They are data of the tenant: shown on request only, and the request is audited. */
export function Rejected({ run }: { run: string }): ReactNode {
  const may = useMay("data:read");
  const show = useMutation({ mutationFn: () => api.rejects(run), gcTime: 0 });
  if (!may) return null;
  const rows = show.data?.items ?? [];
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return (
    <section className="panel" aria-labelledby="rejected">
      <div className="panel-head">
        <h2 id="rejected">Rejected rows</h2>
        <Download operation="run.rejected" question={{ id: run }}>
          Download
        </Download>
        {show.data ? (
          <span className="dim">
            {rows.length === show.data.total
              ? count(rows.length)
              : `${count(rows.length)} of ${count(show.data.total)}`}
          </span>
        ) : null}
      </div>
      {show.error ? <Trouble fault={show.error} /> : null}
      {show.data ? (
        rows.length === 0 ? (
          <p className="panel-body dim">None were kept: the flow skips rejected rows, or their time is over.</p>
        ) : (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to scroll by keyboard
          <section className="scroll-x" aria-label="Rows in quarantine" tabIndex={0}>
            <table className="steps">
              <thead>
                <tr>
                  {columns.map((column) => (
                    <th key={column} scope="col">
                      {column}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map((row, index) => (
                  <tr key={index}>
                    {columns.map((column) => (
                      <td key={column}>
                        <code>{inline(row[column])}</code>
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        )
      ) : (
        <div className="panel-body ask">
          <p className="dim">They can hold personal data. Looking at them is written to the audit trail.</p>
          <Button variant="default" loading={show.isPending} onClick={() => show.mutate()}>
            Show rejected rows
          </Button>
        </div>
      )}
    </section>
  );
}
