import { Button, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { api, type SupportRow } from "../api";
import { useMay } from "../may";
import { Confirm } from "../parts/Confirm";
import { FormDialog } from "../parts/FormDialog";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Person } from "../parts/Person";
import { Pill, type Tone } from "../parts/Pill";
import { Until, When } from "../parts/When";

export const SUPPORT = ["support"];
const TONES: Record<string, Tone> = { active: "warn", expired: "plain", revoked: "bad" };

const COLUMNS = columnsOf<SupportRow>([
  { id: "reason", title: "For", look: "main wide", value: (row) => row.reason },
  {
    id: "whom",
    title: "To",
    value: (row) => row.email,
    cell: (row) => row.email || <span className="dim">any SuperAdmin</span>,
  },
  {
    id: "state",
    title: "State",
    value: (row) => row.state,
    cell: (row) => <Pill tone={TONES[row.state] ?? "plain"}>{row.state}</Pill>,
  },
  {
    id: "expires",
    title: "Ends",
    value: (row) => row.ended ?? row.expires,
    cell: (row) => (row.ended ? <When at={row.ended} /> : <Until at={row.expires} />),
  },
  { id: "by", title: "Given by", value: (row) => row.created_by, cell: (row) => <Person id={row.created_by} /> },
  { id: "created", title: "Given", value: (row) => row.created, cell: (row) => <When at={row.created} /> },
]);

const rowId = (row: SupportRow) => row.id;

/** Support access: which SuperAdmin may see the tenant's rows, what for, and how long. */
export function Support(): ReactNode {
  const gives = useMay("support:grant");
  const [giving, setGiving] = useState(false);
  const [ending, setEnding] = useState<SupportRow>();
  const query = useQuery({ queryKey: SUPPORT, queryFn: api.support, refetchInterval: 30_000 });
  const columns = useMemo(
    () => [
      ...COLUMNS,
      ...columnsOf<SupportRow>([
        {
          id: "acts",
          title: "Actions",
          look: "slim",
          cell: (row) =>
            row.state === "active" ? (
              <button type="button" className="link" aria-label={`End ${row.reason}`} onClick={() => setEnding(row)}>
                End
              </button>
            ) : null,
        },
      ]),
    ],
    [],
  );
  return (
    <Page
      title="Support access"
      actions={gives ? <Button onClick={() => setGiving(true)}>Give support access</Button> : null}
    >
      <Listing
        label="Support accesses"
        query={query}
        columns={columns}
        rowId={rowId}
        empty={
          <Empty title="Nobody from outside sees your rows.">
            A SuperAdmin looks after this server, and sees none of the tenant’s rows, files or previews. An
            administrator of the tenant can let one see them for a few hours; all they ask meanwhile is in your audit
            trail.
          </Empty>
        }
      />
      {giving ? <Give onClose={() => setGiving(false)} /> : null}
      {ending ? <End row={ending} onClose={() => setEnding(undefined)} /> : null}
    </Page>
  );
}

function useFresh(onClose: () => void): { onSuccess: () => void } {
  const cache = useQueryClient();
  return {
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: SUPPORT });
      onClose();
    },
  };
}

function Give({ onClose }: { onClose: () => void }): ReactNode {
  const [reason, setReason] = useState("");
  const [email, setEmail] = useState("");
  const [hours, setHours] = useState("");
  const policy = useQuery({ queryKey: ["policy"], queryFn: api.policy });
  const longest = policy.data?.support_hours ?? 24;
  const give = useMutation({
    mutationFn: () =>
      api.grantSupport({
        reason: reason.trim(),
        ...(email.trim() ? { email: email.trim() } : {}),
        ...(hours.trim() ? { hours: Number(hours) } : {}),
      }),
    ...useFresh(onClose),
  });
  return (
    <FormDialog
      title="Give support access"
      act="Give access"
      failed="Not given"
      busy={give.isPending}
      fault={give.error}
      onSend={() => give.mutate()}
      onClose={onClose}
    >
      <p>
        It shows a SuperAdmin your rows: previews, items, rejected rows. All they ask is in your audit trail; you can
        end it at any time.
      </p>
      <TextInput
        label="Reason"
        description="It stands in the audit trail."
        placeholder="Ticket 4711: rejected orders"
        required
        withAsterisk={false}
        maxLength={254}
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label="SuperAdmin"
        description="Their e-mail address; any of them when empty."
        type="email"
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
      <TextInput
        label="Hours"
        description={`${longest} at the most here; ${Math.min(4, longest)} when empty.`}
        type="number"
        inputMode="numeric"
        min={1}
        max={longest}
        step={1}
        value={hours}
        onChange={(event) => setHours(event.currentTarget.value)}
      />
    </FormDialog>
  );
}

function End({ row, onClose }: { row: SupportRow; onClose: () => void }): ReactNode {
  const end = useMutation({ mutationFn: () => api.revokeSupport(row.id), ...useFresh(onClose) });
  return (
    <Confirm
      title="End this support access?"
      act="End access"
      busy={end.isPending}
      fault={end.error}
      onAct={() => end.mutate()}
      onClose={onClose}
    >
      <p>
        {row.email || "Any SuperAdmin"}: {row.reason}. From now on they see no rows; what is on its way to them is not
        handed out.
      </p>
    </Confirm>
  );
}
