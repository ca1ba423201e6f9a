import { Button, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type SuperadminRow } from "../api";
import { useWho } from "../may";
import { Confirm } from "../parts/Confirm";
import { Copy } from "../parts/Copy";
import { Dialog } from "../parts/Dialog";
import { Panel } from "../parts/Page";
import { Pill } from "../parts/Pill";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";

const KEY = ["superadmins"];

/** Who stands above all tenants. */
export function Superadmins(): ReactNode {
  const who = useWho();
  const [adding, setAdding] = useState(false);
  const [turning, setTurning] = useState<SuperadminRow>();
  const query = useQuery({ queryKey: KEY, queryFn: api.superadmins });
  return (
    <Panel
      title="SuperAdmins"
      acts={
        <Button variant="default" onClick={() => setAdding(true)}>
          New SuperAdmin
        </Button>
      }
    >
      {query.error ? <Trouble fault={query.error} /> : null}
      <ul className="entries">
        {query.data?.map((each) => (
          <li key={each.id}>
            <span className="entry">
              <strong>
                {each.name || each.email} {each.id === who.id ? <span className="dim">(you)</span> : null}
              </strong>
              <span className="dim">
                {each.email} · {each.factor ? "second factor" : "no second factor"} ·{" "}
                {each.last_sign_in ? (
                  <>
                    signed in <When at={each.last_sign_in} />
                  </>
                ) : (
                  "never signed in"
                )}
              </span>
            </span>
            <Pill tone={each.state === "active" ? "ok" : "plain"}>
              {each.state === "active" ? "active" : "deactivated"}
            </Pill>
            {each.id === who.id ? null : (
              <button
                type="button"
                className="link"
                aria-label={`${each.state === "active" ? "Deactivate" : "Activate"} ${each.name || each.email}`}
                onClick={() => setTurning(each)}
              >
                {each.state === "active" ? "Deactivate" : "Activate"}
              </button>
            )}
          </li>
        ))}
      </ul>
      {adding ? <NewSuperadmin onClose={() => setAdding(false)} /> : null}
      {turning ? <Turn row={turning} onClose={() => setTurning(undefined)} /> : null}
    </Panel>
  );
}

function Turn({ row, onClose }: { row: SuperadminRow; onClose: () => void }): ReactNode {
  const cache = useQueryClient();
  const ends = row.state === "active";
  const turn = useMutation({
    mutationFn: () => api.setSuperadmin(row.id, ends ? "deactivate" : "activate"),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: KEY });
      onClose();
    },
  });
  return (
    <Confirm
      title={`${ends ? "Deactivate" : "Activate"} ${row.name || row.email}?`}
      act={ends ? "Deactivate" : "Activate"}
      busy={turn.isPending}
      fault={turn.error}
      onAct={() => turn.mutate()}
      onClose={onClose}
    >
      <p>
        {ends ? "They are signed out everywhere and cannot sign in again." : "They can sign in again, to every tenant."}
      </p>
    </Confirm>
  );
}

function NewSuperadmin({ onClose }: { onClose: () => void }): ReactNode {
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: () => api.createSuperadmin({ email: email.trim(), name: name.trim() }),
    // The answer holds a password: it goes when this form goes.
    gcTime: 0,
    onSuccess: () => void cache.invalidateQueries({ queryKey: KEY }),
  });
  if (create.data)
    return (
      <Dialog title={`${name.trim() || email.trim()} can sign in`} once onClose={onClose}>
        <div className="form">
          <p>
            Give them this one-time password over a safe way. It is shown only now; they choose their own when they
            first sign in, without a tenant.
          </p>
          <Copy value={create.data.password} label="Copy the password" />
          <div className="form-actions">
            <Button onClick={onClose}>I have it</Button>
          </div>
        </div>
      </Dialog>
    );
  return (
    <Dialog title="New SuperAdmin" busy={create.isPending} onClose={onClose}>
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
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        {create.error ? <Trouble fault={create.error} what="Not created" /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Create SuperAdmin
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
