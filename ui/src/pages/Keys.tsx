import { Button, Checkbox } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { api, type KeyRow } from "../api";
import { count } from "../format";
import { useMay, useWho } from "../may";
import { Confirm } from "../parts/Confirm";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Pill, type Tone } from "../parts/Pill";
import { Until, When } from "../parts/When";
import { NewKey } from "./NewKey";
import { NewService } from "./NewService";

const TONES: Record<string, Tone> = { active: "ok", expired: "plain", unused: "plain" };

/** A key's state; one that this page does not know was ended by somebody. */
export function KeyState({ state }: { state: string }): ReactNode {
  return <Pill tone={TONES[state] ?? "bad"}>{state}</Pill>;
}

const NAME = columnsOf<KeyRow>([{ id: "name", title: "Name", look: "main", value: (row) => row.name }]);
const OWNER = (me: string) =>
  columnsOf<KeyRow>([
    { id: "owner", title: "Owner", value: (row) => row.owner, cell: (row) => (row.user === me ? "you" : row.owner) },
  ]);
const STATE = columnsOf<KeyRow>([
  { id: "state", title: "State", value: (row) => row.state, cell: (row) => <KeyState state={row.state} /> },
]);
const COLUMNS = columnsOf<KeyRow>([
  {
    id: "scopes",
    title: "May",
    look: "wide",
    value: (row) => row.scopes.length,
    cell: (row) => <code className="tags">{row.scopes.join(" ")}</code>,
  },
  {
    id: "networks",
    title: "From",
    value: (row) => row.addresses.join(" "),
    cell: (row) =>
      row.addresses.length > 0 ? (
        row.addresses.map((each) => (
          <code key={each} className="line">
            {each}
          </code>
        ))
      ) : (
        <span className="dim">anywhere</span>
      ),
  },
  { id: "expires", title: "Expires", value: (row) => row.expires, cell: (row) => <Until at={row.expires} /> },
  {
    id: "used",
    title: "Last used",
    value: (row) => row.last_used ?? "",
    cell: (row) =>
      row.last_used ? (
        <>
          <When at={row.last_used} /> <span className="dim">from</span> {row.last_address}
        </>
      ) : (
        <span className="dim">never</span>
      ),
  },
  { id: "uses", title: "Uses", numeric: true, look: "slim", value: (row) => row.uses, cell: (row) => count(row.uses) },
]);

const rowId = (row: KeyRow) => row.id;
const text = (row: KeyRow) =>
  `${row.name} ${row.owner} ${row.state} ${row.scopes.join(" ")} ${row.addresses.join(" ")}`;
const SORT = [{ id: "name", desc: false }];

/** API keys: one's own; for an administrator, those of the whole tenant. */
export function Keys(): ReactNode {
  const who = useWho();
  const manages = useMay("user:manage");
  const [making, setMaking] = useState<{ user?: string } | undefined>();
  const [serving, setServing] = useState(false);
  const [ending, setEnding] = useState<KeyRow | undefined>();
  const [all, setAll] = useState(false);
  const query = useQuery({
    queryKey: ["keys"],
    queryFn: api.keys,
    select: (rows) => (all ? rows : rows.filter((row) => row.state === "active")),
  });
  const columns = useMemo(
    () => [
      ...NAME,
      ...(manages ? OWNER(who.id) : []),
      ...(all ? STATE : []),
      ...COLUMNS,
      ...columnsOf<KeyRow>([
        {
          id: "acts",
          title: "Actions",
          look: "slim",
          cell: (row) =>
            row.state === "active" ? (
              <button type="button" className="link" aria-label={`Revoke ${row.name}`} onClick={() => setEnding(row)}>
                Revoke
              </button>
            ) : null,
        },
      ]),
    ],
    [manages, who.id, all],
  );
  return (
    <Page
      title="API keys"
      actions={
        <>
          {manages ? (
            <Button variant="default" onClick={() => setServing(true)}>
              New service user
            </Button>
          ) : null}
          <Button onClick={() => setMaking({})}>New key</Button>
        </>
      }
    >
      <Listing
        label="API keys"
        query={query}
        columns={columns}
        rowId={rowId}
        text={text}
        sort={SORT}
        controls={
          <Checkbox
            size="xs"
            label="Also those that have ended"
            checked={all}
            onChange={(event) => setAll(event.currentTarget.checked)}
          />
        }
        empty={
          <Empty title={all ? "There are no API keys yet." : "There are no active API keys."}>
            A key signs a program in: it is exchanged for a token that is good for five minutes and may do what the
            key’s scopes say. Give each program a key of its own.
          </Empty>
        }
      />
      {making ? <NewKey {...making} onClose={() => setMaking(undefined)} /> : null}
      {serving ? (
        <NewService
          onClose={() => setServing(false)}
          onKey={(user) => {
            setServing(false);
            setMaking({ user });
          }}
        />
      ) : null}
      {ending ? <Revoke row={ending} onClose={() => setEnding(undefined)} /> : null}
    </Page>
  );
}

function Revoke({ row, onClose }: { row: KeyRow; onClose: () => void }): ReactNode {
  const cache = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => api.revokeKey(row.id),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ["keys"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Revoke ${row.name}?`}
      act="Revoke key"
      busy={revoke.isPending}
      fault={revoke.error}
      onAct={() => revoke.mutate()}
      onClose={onClose}
    >
      <p>
        {row.last_used
          ? "Whatever uses it is refused from now on, and the tokens it gave out end at once."
          : "Nothing has used it yet."}{" "}
        It cannot be brought back.
      </p>
    </Confirm>
  );
}
