import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, type MailRow } from "../api";
import { mailTone, mailWords, relayWords } from "../mails";
import { useWho } from "../may";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Pill } from "../parts/Pill";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";

const MAILS = ["mails"];

const COLUMNS = columnsOf<MailRow>([
  { id: "to", title: "To", look: "main", value: (row) => row.to },
  { id: "kind", title: "About", value: (row) => mailWords(row.kind) },
  {
    id: "state",
    title: "State",
    value: (row) => row.state,
    cell: (row) => <Pill tone={mailTone(row.state)}>{row.state}</Pill>,
  },
  { id: "tries", title: "Tries", numeric: true, look: "slim", value: (row) => row.tries },
  { id: "why", title: "Why", look: "wide", value: (row) => row.why },
  { id: "created", title: "Written", value: (row) => row.created, cell: (row) => <When at={row.created} /> },
  {
    id: "ended",
    title: "Ended",
    value: (row) => row.ended ?? "",
    cell: (row) => (row.ended ? <When at={row.ended} /> : <span className="dim">–</span>),
  },
]);

const rowId = (row: MailRow) => row.id;
const text = (row: MailRow) => `${row.to} ${mailWords(row.kind)} ${row.state} ${row.why}`;

/** Mail: whether the relay works, and what became of each mail to the tenant's people. */
export function Mail(): ReactNode {
  const who = useWho();
  const cache = useQueryClient();
  const health = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => api.health(signal),
    refetchInterval: 15_000,
  });
  const test = useMutation({
    mutationFn: api.testMail,
    onSuccess: () => void cache.invalidateQueries({ queryKey: MAILS }),
  });
  const relay = health.data?.mail ?? "off";
  const [tone, words] = relayWords(relay);
  return (
    <Page
      title="Mail"
      beside={health.data ? <Pill tone={tone}>{words}</Pill> : null}
      actions={
        <Button loading={test.isPending} disabled={relay === "off"} onClick={() => test.mutate()}>
          Send a test mail
        </Button>
      }
    >
      {health.data && relay === "off" ? (
        <p className="dim">No relay is set up: links are shown to be copied. The operator sets mail.relay.</p>
      ) : null}
      {test.error ? <Trouble fault={test.error} what="Not sent" /> : null}
      <output className="good">{test.isSuccess ? `A test mail to ${who.email} is on its way.` : ""}</output>
      {who.tenant === null ? <p className="dim">What became of mails is listed in each tenant.</p> : <Sent />}
    </Page>
  );
}

function Sent(): ReactNode {
  const query = useQuery({ queryKey: MAILS, queryFn: api.mails, refetchInterval: 5_000 });
  return (
    <Listing
      label="Mails"
      query={query}
      columns={COLUMNS}
      rowId={rowId}
      text={text}
      empty={<Empty title="No mail was written in the last 30 days." />}
    />
  );
}
