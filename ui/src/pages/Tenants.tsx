import { Button, Modal, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type TenantRow } from "../api";
import { columnsOf } from "../parts/Grid";
import { Listing } from "../parts/Listing";
import { Empty, Page } from "../parts/Page";
import { Trouble } from "../parts/Trouble";
import { When } from "../parts/When";

const COLUMNS = columnsOf<TenantRow>([
  { id: "name", title: "Name", look: "main", value: (row) => row.name },
  { id: "state", title: "State", value: (row) => row.state },
  { id: "created", title: "Created", value: (row) => row.created, cell: (row) => <When at={row.created} /> },
  { id: "id", title: "Id", cell: (row) => <code>{row.id}</code> },
]);

const rowId = (row: TenantRow) => row.id;
const SORT = [{ id: "name", desc: false }];

/** The tenants of this server. */
export function Tenants(): ReactNode {
  const [adding, setAdding] = useState(false);
  const query = useQuery({ queryKey: ["tenants"], queryFn: api.tenants });
  return (
    <Page title="Tenants" actions={<Button onClick={() => setAdding(true)}>New tenant</Button>}>
      <p className="dim">To work inside a tenant, sign in with its name.</p>
      <Listing
        label="Tenants"
        query={query}
        columns={COLUMNS}
        rowId={rowId}
        sort={SORT}
        empty={
          <Empty title="There are no tenants yet.">
            Flows, connections, secrets and users live in a tenant. Make one, then sign in with its name.
          </Empty>
        }
      />
      {adding ? <NewTenant onClose={() => setAdding(false)} /> : null}
    </Page>
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
    <Modal opened onClose={onClose} title="New tenant" closeButtonProps={{ "aria-label": "Close" }}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <TextInput
          label="Name"
          description="Lower-case letters, digits, “-” and “_”."
          autoComplete="off"
          spellCheck={false}
          required
          withAsterisk={false}
          maxLength={64}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
        {create.error ? <Trouble fault={create.error} what="Not created" /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Create tenant
          </Button>
        </div>
      </form>
    </Modal>
  );
}
