import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import { api, type UserRow } from "../api";
import { useWho } from "../may";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { FirstPassword, PersonForm } from "../parts/PersonForm";
import { When } from "../parts/When";
import { rolesToGive, roleWords } from "../roles";
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
    id: "sso",
    title: "Single sign-on",
    value: (row) => (row.sso ? "yes" : "no"),
    cell: (row) =>
      isService(row) ? <span className="dim">–</span> : row.sso ? "yes" : <span className="dim">no</span>,
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
  const roles = rolesToGive(useWho().role);
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: api.createUser,
    // The answer holds a password: it goes when this form goes.
    gcTime: 0,
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["users"] }),
  });
  if (create.data)
    return <FirstPassword name={create.variables.name} password={create.data.password} onClose={onClose} />;
  return (
    <PersonForm
      title="New user"
      act="Create user"
      failed="Not created"
      roles={{ all: roles, first: roles.includes("viewer") ? "viewer" : (roles[0] ?? "viewer") }}
      busy={create.isPending}
      fault={create.error}
      onSend={create.mutate}
      onClose={onClose}
    />
  );
}
