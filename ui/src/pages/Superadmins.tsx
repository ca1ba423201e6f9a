import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type SuperadminRow } from "../api";
import { useWho } from "../may";
import { Confirm } from "../parts/Confirm";
import { Panel } from "../parts/Page";
import { FirstPassword, PersonForm } from "../parts/PersonForm";
import { Pill } from "../parts/Pill";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";

const KEY = ["superadmins"];

/** Who stands above all tenants. */
export function Superadmins(): ReactNode {
  const who = useWho();
  const [adding, setAdding] = useState(false);
  const [turning, setTurning] = useState<SuperadminRow>();
  const [resetting, setResetting] = useState<SuperadminRow>();
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
            {each.id !== who.id && each.factor ? (
              <button
                type="button"
                className="link"
                aria-label={`Reset second factor of ${each.name || each.email}`}
                onClick={() => setResetting(each)}
              >
                Reset second factor
              </button>
            ) : null}
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
      {resetting ? <Reset row={resetting} onClose={() => setResetting(undefined)} /> : null}
      {turning ? <Turn row={turning} onClose={() => setTurning(undefined)} /> : null}
    </Panel>
  );
}

function Reset({ row, onClose }: { row: SuperadminRow; onClose: () => void }): ReactNode {
  const cache = useQueryClient();
  const reset = useMutation({
    mutationFn: () => api.resetSuperadmin(row.id),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: KEY });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Reset the second factor of ${row.name || row.email}?`}
      act="Reset"
      busy={reset.isPending}
      fault={reset.error}
      onAct={() => reset.mutate()}
      onClose={onClose}
    >
      <p>
        Be sure that it is them who asks: they stand above every tenant. They are signed out everywhere, and their
        password alone signs them in until they set up another.
      </p>
    </Confirm>
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
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: api.createSuperadmin,
    // The answer holds a password: it goes when this form goes.
    gcTime: 0,
    onSuccess: () => void cache.invalidateQueries({ queryKey: KEY }),
  });
  if (create.data)
    return (
      <FirstPassword
        name={create.variables.name || create.variables.email}
        password={create.data.password}
        where=", without a tenant"
        onClose={onClose}
      />
    );
  return (
    <PersonForm
      title="New SuperAdmin"
      act="Create SuperAdmin"
      failed="Not created"
      nameless={{}}
      busy={create.isPending}
      fault={create.error}
      onSend={({ email, name }) => create.mutate({ email, name })}
      onClose={onClose}
    />
  );
}
