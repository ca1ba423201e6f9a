import { Button, Modal, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { api, type Role, type UserRow } from "../api";
import { useWho } from "../may";
import { Confirm } from "../parts/Confirm";
import { Copy } from "../parts/Copy";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";
import { ROLE_NOTES, rolesToGive, roleWords } from "../roles";

const COLUMNS = columnsOf<UserRow>([
  { id: "name", title: "Name", look: "main", value: (row) => row.name },
  { id: "email", title: "Email", value: (row) => row.email },
  { id: "role", title: "Role", value: (row) => roleWords(row.role) },
  { id: "state", title: "State", value: (row) => row.state },
  {
    id: "factor",
    title: "Second factor",
    value: (row) => (row.factor ? "yes" : "no"),
    cell: (row) => (row.factor ? "yes" : <span className="dim">no</span>),
  },
  {
    id: "seen",
    title: "Last sign-in",
    value: (row) => row.last_sign_in ?? "",
    cell: (row) => (row.last_sign_in ? <When at={row.last_sign_in} /> : <span className="dim">never</span>),
  },
  { id: "created", title: "Created", value: (row) => row.created, cell: (row) => <When at={row.created} /> },
]);

const rowId = (row: UserRow) => row.id;
const text = (row: UserRow) => `${row.name} ${row.email} ${roleWords(row.role)}`;
const SORT = [{ id: "name", desc: false }];

/** The people of the tenant. */
export function Users(): ReactNode {
  const who = useWho();
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState<UserRow | undefined>();
  const query = useQuery({ queryKey: ["users"], queryFn: api.users });
  const columns = useMemo(() => {
    const below = rolesToGive(who.role);
    const acts = columnsOf<UserRow>([
      {
        id: "acts",
        title: "Actions",
        look: "slim",
        cell: (row) =>
          row.state === "active" && row.id !== who.id && below.includes(row.role as Role) ? (
            <button type="button" className="link" aria-label={`Deactivate ${row.name}`} onClick={() => setEnding(row)}>
              Deactivate
            </button>
          ) : null,
      },
    ]);
    return [...COLUMNS, ...acts];
  }, [who]);
  return (
    <Page title="Users" actions={<Button onClick={() => setAdding(true)}>New user</Button>}>
      <Listing
        label="Users"
        query={query}
        columns={columns}
        rowId={rowId}
        text={text}
        sort={SORT}
        empty={<Empty title="There are no users yet." />}
      />
      {adding ? <NewUser onClose={() => setAdding(false)} /> : null}
      {ending ? <Deactivate row={ending} onClose={() => setEnding(undefined)} /> : null}
    </Page>
  );
}

function Deactivate({ row, onClose }: { row: UserRow; onClose: () => void }): ReactNode {
  const cache = useQueryClient();
  const end = useMutation({
    mutationFn: () => api.deactivateUser(row.id),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ["users"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Deactivate ${row.name}?`}
      act="Deactivate"
      busy={end.isPending}
      fault={end.error}
      onAct={() => end.mutate()}
      onClose={onClose}
    >
      <p>They are signed out everywhere and cannot sign in again. What they made stays.</p>
    </Confirm>
  );
}

function NewUser({ onClose }: { onClose: () => void }): ReactNode {
  const who = useWho();
  const roles = rolesToGive(who.role);
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>(roles.includes("viewer") ? "viewer" : (roles[0] ?? "viewer"));
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: () => api.createUser({ email: email.trim(), name: name.trim(), role }),
    // The answer holds a password: it goes when this form goes.
    gcTime: 0,
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["users"] }),
  });
  if (create.data)
    return (
      <Modal
        opened
        onClose={onClose}
        title={`${name.trim()} can sign in`}
        closeOnClickOutside={false}
        closeOnEscape={false}
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <div className="form">
          <p>
            Give them this one-time password over a safe way. It is shown only now; they choose their own when they
            first sign in.
          </p>
          <Copy value={create.data.password} label="Copy the password" />
          <div className="form-actions">
            <Button onClick={onClose}>I have it</Button>
          </div>
        </div>
      </Modal>
    );
  return (
    <Modal opened onClose={onClose} title="New user" closeButtonProps={{ "aria-label": "Close" }}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <TextInput
          label="Email"
          type="email"
          autoComplete="off"
          required
          withAsterisk={false}
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
          data-autofocus
        />
        <TextInput
          label="Name"
          autoComplete="off"
          required
          withAsterisk={false}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <NativeSelect
          label="Role"
          description={ROLE_NOTES[role]}
          inputWrapperOrder={["label", "input", "description", "error"]}
          data={roles.map((each) => ({ value: each, label: roleWords(each) }))}
          value={role}
          onChange={(event) => setRole(event.currentTarget.value as Role)}
        />
        {create.error ? <Trouble fault={create.error} what="Not created" /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Create user
          </Button>
        </div>
      </form>
    </Modal>
  );
}
