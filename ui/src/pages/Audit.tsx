import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { type AuditRow, api } from "../api";
import { inline, moment } from "../format";
import { Download } from "../parts/Download";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Person } from "../parts/Person";

function details(row: AuditRow): string {
  return Object.entries(row.about ?? {})
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([key, value]) => `${key}=${inline(value)}`)
    .join("  ");
}

const GOOD = new Set(["asked", "ok", "succeeded", "finished_with_rejects"]);

const COLUMNS = columnsOf<AuditRow>([
  { id: "seq", title: "No.", numeric: true, look: "slim", value: (row) => row.seq },
  {
    id: "at",
    title: "Time",
    look: "slim",
    value: (row) => row.at,
    cell: (row) => <time dateTime={row.at}>{moment(row.at)}</time>,
  },
  { id: "who", title: "Who", value: (row) => row.who ?? "", cell: (row) => <Person id={row.who} /> },
  { id: "action", title: "Action", look: "main", value: (row) => row.action },
  {
    id: "result",
    title: "Result",
    value: (row) => row.result,
    cell: (row) => <span className={GOOD.has(row.result) ? "" : "state state-failed"}>{row.result}</span>,
  },
  {
    id: "from",
    title: "From",
    value: (row) => row.address ?? "",
    cell: (row) => <span title={row.client ?? ""}>{row.address ?? "–"}</span>,
  },
  { id: "details", title: "Details", look: "wide", cell: (row) => <code>{details(row)}</code> },
]);

const rowId = (row: AuditRow) => String(row.seq);
const text = (row: AuditRow) => `${row.action} ${row.result} ${row.address ?? ""} ${details(row)}`;

/** The audit trail, newest first. */
export function Audit(): ReactNode {
  const query = useQuery({ queryKey: ["audit"], queryFn: () => api.audit(500), refetchInterval: 15_000 });
  return (
    <Page title="Audit trail">
      <p className="dim">
        The newest 500 records.{" "}
        <Download operation="audit.export" question={{}}>
          Download all
        </Download>
      </p>
      <Listing
        label="Audit trail"
        query={query}
        columns={COLUMNS}
        rowId={rowId}
        text={text}
        empty={<Empty title="Nothing has been recorded yet." />}
      />
    </Page>
  );
}
