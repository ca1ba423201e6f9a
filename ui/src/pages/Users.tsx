import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import { api, type Role, type UserRow } from "../api";
import { useWho } from "../may";
import { Copy } from "../parts/Copy";
import { Dialog } from "../parts/Dialog";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";
import { ROLE_NOTES, rolesToGive, roleWords } from "../roles";
import { Invite } from "./Invite";
import { NewKey } from "./NewKey";
import { NewService } from "./NewService";
import { isService, nameOf, UserState } from "./User";

const COLUMNS = columnsOf<UserRow>([
  {
    id: "name",
    title: "Name",
    look: "main",
    value: (row) => nameOf(row),
    cell: (row) => <Link href={`/users/${row.id}`}>{nameOf(row)}</Link>,
  },
  {
    id: "email",
    title: "Email",
    value: (row) => (isService(row) ? "" : row.email),
    cell: (row) => (isService(row) ? <span className="dim">service user</span> : row.email),
  },
  { id: "role", title: "Role", value: (row) => roleWords(row.role) },
  { id: "state", title: "State", value: (row) => row.state, cell: (row) => <UserState row={row} /> },
  {
    id: "factor",
    title: "Second factor",
    value: (row) => (row.factor ? "yes" : "no"),
    cell: (row) =>
      isService(row) ? <span className="dim">–</span> : row.factor ? "yes" : <span className="dim">no</span>,
  },
  {
    id: "seen",
    title: "Last sign-in",
    value: (row) => row.last_sign_in ?? "",
    cell: (row) =>
      row.last_sign_in ? (
        <When at={row.last_sign_in} />
      ) : (
        <span className="dim">{isService(row) ? "by key" : "never"}</span>
      ),
  },
  { id: "created", title: "Created", value: (row) => row.created, cell: (row) => <When at={row.created} /> },
]);

const rowId = (row: UserRow) => row.id;
const text = (row: UserRow) => `${row.name} ${row.email} ${roleWords(row.role)} ${row.state} ${row.kind}`;
const SORT = [{ id: "name", desc: false }];
const faded = (row: UserRow) => row.state === "disabled";

/** The people and programs of the tenant. */
export function Users(): ReactNode {
  const [adding, setAdding] = useState<"person" | "invited" | "service">();
  const [keyed, setKeyed] = useState<string>();
  const query = useQuery({ queryKey: ["users"], queryFn: api.users });
  return (
    <Page
      title="Users"
      actions={
        <>
          <Button variant="default" onClick={() => setAdding("service")}>
            New service user
          </Button>
          <Button variant="default" onClick={() => setAdding("person")}>
            New user
          </Button>
          <Button onClick={() => setAdding("invited")}>Invite</Button>
        </>
      }
    >
      <Listing
        label="Users"
        query={query}
        columns={COLUMNS}
        rowId={rowId}
        text={text}
        sort={SORT}
        faded={faded}
        empty={<Empty title="There are no users yet." />}
      />
      {adding === "person" ? <NewUser onClose={() => setAdding(undefined)} /> : null}
      {adding === "invited" ? <Invite onClose={() => setAdding(undefined)} /> : null}
      {adding === "service" ? (
        <NewService
          onClose={() => setAdding(undefined)}
          onKey={(user) => {
            setAdding(undefined);
            setKeyed(user);
          }}
        />
      ) : null}
      {keyed ? <NewKey user={keyed} onClose={() => setKeyed(undefined)} /> : null}
    </Page>
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
      <Dialog title={`${name.trim()} can sign in`} once onClose={onClose}>
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
      </Dialog>
    );
  return (
    <Dialog title="New user" busy={create.isPending} onClose={onClose}>
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
    </Dialog>
  );
}
