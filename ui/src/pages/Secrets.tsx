import { Button, PasswordInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { api, type SecretRow } from "../api";
import { useMay } from "../may";
import { Confirm } from "../parts/Confirm";
import { FormDialog, NameInput } from "../parts/FormDialog";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Person } from "../parts/Person";
import { When } from "../parts/When";
import { LinkSecret, TestSecret } from "./LinkSecret";

const rowId = (row: SecretRow) => `${row.kind} ${row.name}`;
const text = (row: SecretRow) => `${row.name} ${row.reference} ${row.used_by.join(" ")}`;
const SORT = [{ id: "name", desc: false }];

const COLUMNS = columnsOf<SecretRow>([
  { id: "name", title: "Name", look: "main", value: (row) => row.name },
  { id: "kind", title: "Kind", look: "slim", value: (row) => (row.kind === "key" ? "masking key" : "secret") },
  {
    id: "from",
    title: "Comes from",
    look: "wide",
    value: (row) => row.reference,
    cell: (row) => (row.reference ? <code>{row.reference}</code> : <span className="dim">here</span>),
  },
  {
    id: "used",
    title: "Used by",
    look: "wide",
    value: (row) => row.used_by.join(", "),
    cell: (row) => row.used_by.join(", ") || <span className="dim">nothing</span>,
  },
  { id: "fingerprint", title: "Fingerprint", cell: (row) => <code>{row.fingerprint}</code> },
  { id: "version", title: "Version", numeric: true, look: "slim", value: (row) => row.version },
  { id: "set", title: "Set", value: (row) => row.set_at, cell: (row) => <When at={row.set_at} /> },
  { id: "by", title: "By", value: (row) => row.set_by, cell: (row) => <Person id={row.set_by} /> },
]);

interface Acts {
  link: ((row: SecretRow) => void) | undefined;
  test: ((row: SecretRow) => void) | undefined;
  replace: ((row: SecretRow) => void) | undefined;
  remove: ((row: SecretRow) => void) | undefined;
  removeKey: ((row: SecretRow) => void) | undefined;
}

const acts = ({ link, test, replace, remove, removeKey }: Acts) => {
  const act = (word: string, row: SecretRow, on: ((row: SecretRow) => void) | undefined) =>
    on ? (
      <button type="button" className="link" aria-label={`${word} ${row.name}`} onClick={() => on(row)}>
        {word}
      </button>
    ) : null;
  return columnsOf<SecretRow>([
    {
      id: "acts",
      title: "Actions",
      look: "slim",
      cell: (row) => (
        <span className="page-actions">
          {act("Test", row, row.reference ? test : undefined)}
          {act("Link", row, row.kind === "key" ? undefined : link)}
          {act("Replace", row, row.kind === "key" ? undefined : replace)}
          {act("Delete", row, row.kind === "key" ? removeKey : remove)}
        </span>
      ),
    },
  ]);
};

/** Names of secrets. A value can be set and replaced; nobody can read it back. It can also come from elsewhere. */
export function Secrets(): ReactNode {
  const [may, mayLink] = [useMay("secret:write"), useMay("secret:link")];
  const [mayTest, mayReveal] = [useMay("data:read"), useMay("data:reveal")];
  const [setting, setSetting] = useState<string | undefined>();
  const [linking, setLinking] = useState<SecretRow | "new" | undefined>();
  const [testing, setTesting] = useState<string | undefined>();
  const [deleting, setDeleting] = useState<SecretRow | undefined>();
  const query = useQuery({ queryKey: ["secrets"], queryFn: api.secrets });
  const columns = useMemo(
    () => [
      ...COLUMNS,
      ...acts({
        link: mayLink ? setLinking : undefined,
        test: mayTest ? (row) => setTesting(row.name) : undefined,
        replace: may ? (row) => setSetting(row.name) : undefined,
        remove: may ? setDeleting : undefined,
        removeKey: may && mayReveal ? setDeleting : undefined,
      }),
    ],
    [may, mayLink, mayTest, mayReveal],
  );
  const buttons = (
    <>
      {mayLink ? (
        <Button variant="default" onClick={() => setLinking("new")}>
          Link secret
        </Button>
      ) : null}
      {may ? <Button onClick={() => setSetting("")}>Set secret</Button> : null}
    </>
  );
  return (
    <Page title="Secrets" actions={may || mayLink ? buttons : null}>
      <Listing
        label="Secrets"
        query={query}
        columns={columns}
        rowId={rowId}
        text={text}
        sort={SORT}
        empty={
          <Empty title="There are no secrets yet.">
            A connection names its secret, for example “password: {"{"} secret: warehouse-password {"}"}”. The value is
            set here, kept encrypted and never shown again; or it is kept elsewhere and fetched for each run.
          </Empty>
        }
      />
      {setting === undefined ? null : <SetSecret name={setting} onClose={() => setSetting(undefined)} />}
      {linking ? (
        <LinkSecret
          row={linking === "new" ? undefined : linking}
          onLinked={(name) => {
            setLinking(undefined);
            if (mayTest) setTesting(name);
          }}
          onClose={() => setLinking(undefined)}
        />
      ) : null}
      {testing ? <TestSecret name={testing} onClose={() => setTesting(undefined)} /> : null}
      {deleting ? <DeleteSecret row={deleting} onClose={() => setDeleting(undefined)} /> : null}
    </Page>
  );
}

function SetSecret({ name: given, onClose }: { name: string; onClose: () => void }): ReactNode {
  const [name, setName] = useState(given);
  const [value, setValue] = useState("");
  const cache = useQueryClient();
  const set = useMutation({
    // The value is not a variable of the mutation: those are kept in the cache.
    mutationFn: () => api.setSecret(name.trim(), value),
    onSuccess: () => {
      setValue("");
      void cache.invalidateQueries({ queryKey: ["secrets"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={given ? `Replace ${given}` : "Set a secret"}
      act="Set secret"
      failed="Not set"
      busy={set.isPending}
      fault={set.error}
      onSend={() => set.mutate()}
      onClose={onClose}
    >
      {given ? null : <NameInput value={name} onName={setName} />}
      <PasswordInput
        label="Value"
        description="Nobody can read it back, you neither."
        autoComplete="new-password"
        required
        withAsterisk={false}
        value={value}
        onChange={(event) => setValue(event.currentTarget.value)}
        {...(given ? { "data-autofocus": true } : {})}
      />
    </FormDialog>
  );
}

function DeleteSecret({ row, onClose }: { row: SecretRow; onClose: () => void }): ReactNode {
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: () => api.deleteSecret(row.name, row.kind),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ["secrets"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Delete ${row.name}?`}
      act={row.kind === "key" ? "Delete key" : "Delete secret"}
      busy={remove.isPending}
      fault={remove.error}
      onAct={() => remove.mutate()}
      onClose={onClose}
    >
      <p>
        {row.used_by.length > 0
          ? `It is used by ${row.used_by.join(", ")}. Their runs fail until it is set again.`
          : "Nothing uses it."}{" "}
        {row.kind === "key"
          ? "What was tokenized or encrypted under it opens no more, and cannot be brought back."
          : "The value cannot be brought back."}
      </p>
    </Confirm>
  );
}
