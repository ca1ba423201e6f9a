import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useMemo, useState } from "react";
import { api, type TenantRow } from "../api";
import { drafts } from "../drafts";
import { useWho } from "../may";
import { Confirm } from "../parts/Confirm";
import { Dialog } from "../parts/Dialog";
import { FormDialog, NameInput } from "../parts/FormDialog";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Pill } from "../parts/Pill";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";
import { session } from "../session";
import { Superadmins } from "./Superadmins";

const COLUMNS = columnsOf<TenantRow>([
  { id: "name", title: "Name", look: "main", value: (row) => row.name },
  {
    id: "state",
    title: "State",
    value: (row) => row.state,
    cell: (row) => <Pill tone={row.state === "active" ? "ok" : "warn"}>{row.state}</Pill>,
  },
  { id: "created", title: "Created", value: (row) => row.created, cell: (row) => <When at={row.created} /> },
  { id: "id", title: "Id", cell: (row) => <code>{row.id}</code> },
]);

const rowId = (row: TenantRow) => row.id;
const text = (row: TenantRow) => `${row.name} ${row.state} ${row.id}`;
const SORT = [{ id: "name", desc: false }];
const faded = (row: TenantRow) => row.state !== "active";

/** The tenants of this server: which there are, and in which one works. */
export function Tenants(): ReactNode {
  const who = useWho();
  const [adding, setAdding] = useState(false);
  const [entering, setEntering] = useState<TenantRow>();
  const [closing, setClosing] = useState<TenantRow>();
  const [opening, setOpening] = useState<TenantRow>();
  const query = useQuery({ queryKey: ["tenants"], queryFn: api.tenants });
  const columns = useMemo(
    () => [
      ...COLUMNS,
      ...columnsOf<TenantRow>([
        {
          id: "acts",
          title: "Actions",
          look: "slim",
          cell: (row) => (
            <span className="page-actions">
              {row.id === who.tenant ? (
                <span className="dim">you are here</span>
              ) : row.state === "active" ? (
                <button
                  type="button"
                  className="link"
                  aria-label={`Enter ${row.name}`}
                  onClick={() => setEntering(row)}
                >
                  Enter
                </button>
              ) : null}
              {row.state === "active" ? (
                <button
                  type="button"
                  className="link"
                  aria-label={`Suspend ${row.name}`}
                  onClick={() => setClosing(row)}
                >
                  Suspend
                </button>
              ) : (
                <button
                  type="button"
                  className="link"
                  aria-label={`Resume ${row.name}`}
                  onClick={() => setOpening(row)}
                >
                  Resume
                </button>
              )}
            </span>
          ),
        },
      ]),
    ],
    [who.tenant],
  );
  return (
    <Page title="Tenants" actions={<Button onClick={() => setAdding(true)}>New tenant</Button>}>
      <Listing
        label="Tenants"
        query={query}
        columns={columns}
        rowId={rowId}
        text={text}
        sort={SORT}
        marked={(row) => row.id === who.tenant}
        faded={faded}
        empty={
          <Empty title="There are no tenants yet.">
            Flows, connections, secrets and users live in a tenant. Make one, then enter it.
          </Empty>
        }
      />
      <Superadmins />
      {adding ? <NewTenant onClose={() => setAdding(false)} /> : null}
      {entering ? <Enter row={entering} onClose={() => setEntering(undefined)} /> : null}
      {closing ? <Suspend row={closing} onClose={() => setClosing(undefined)} /> : null}
      {opening ? <Resume row={opening} onClose={() => setOpening(undefined)} /> : null}
    </Page>
  );
}

function Enter({ row, onClose }: { row: TenantRow; onClose: () => void }): ReactNode {
  const enter = useMutation({ mutationFn: () => session.switchTo(row.name) });
  return (
    <Dialog title={`Enter ${row.name}?`} busy={enter.isPending} onClose={onClose}>
      <div className="form">
        <p>
          You work there as SuperAdmin: its people, definitions and secrets, but not its rows. That you come and go is
          in the tenant’s audit trail.
        </p>
        {drafts.any() ? <p className="some">Texts that you have not saved are lost.</p> : null}
        {enter.error ? <Trouble fault={enter.error} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button loading={enter.isPending} onClick={() => enter.mutate()}>
            Enter {row.name}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

function useFresh(onClose: () => void): { onSuccess: () => void } {
  const cache = useQueryClient();
  return {
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ["tenants"] });
      void cache.invalidateQueries({ queryKey: ["whoami"] });
      onClose();
    },
  };
}

function Suspend({ row, onClose }: { row: TenantRow; onClose: () => void }): ReactNode {
  const suspend = useMutation({ mutationFn: () => api.suspendTenant(row.id), ...useFresh(onClose) });
  return (
    <Confirm
      title={`Suspend ${row.name}?`}
      act="Suspend tenant"
      busy={suspend.isPending}
      fault={suspend.error}
      onAct={() => suspend.mutate()}
      onClose={onClose}
    >
      <p>
        All its people and keys are out at once, its runs end before their next segment. Nothing is deleted; you can
        resume it.
      </p>
    </Confirm>
  );
}

function Resume({ row, onClose }: { row: TenantRow; onClose: () => void }): ReactNode {
  const resume = useMutation({ mutationFn: () => api.resumeTenant(row.id), ...useFresh(onClose) });
  return (
    <Dialog title={`Resume ${row.name}?`} busy={resume.isPending} onClose={onClose}>
      <div className="form">
        <p>Its people sign in anew, its keys are exchanged again.</p>
        {resume.error ? <Trouble fault={resume.error} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button loading={resume.isPending} onClick={() => resume.mutate()}>
            Resume tenant
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

function NewTenant({ onClose }: { onClose: () => void }): ReactNode {
  const [name, setName] = useState("");
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: () => api.createTenant(name.trim()),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ["tenants"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title="New tenant"
      act="Create tenant"
      failed="Not created"
      busy={create.isPending}
      fault={create.error}
      onSend={() => create.mutate()}
      onClose={onClose}
    >
      <NameInput value={name} onName={setName} />
    </FormDialog>
  );
}
