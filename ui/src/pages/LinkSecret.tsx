import { Button, Loader, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type SecretRow } from "../api";
import { Dialog } from "../parts/Dialog";
import { FormDialog, NameInput } from "../parts/FormDialog";
import { Trouble } from "../parts/Trouble";

interface Shown {
  row: SecretRow | undefined;
  onLinked: (name: string) => void;
  onClose: () => void;
}

/** Say where a secret comes from. What was set before is gone; the reference is no secret and can be seen. */
export function LinkSecret({ row, onLinked, onClose }: Shown): ReactNode {
  const [name, setName] = useState(row?.name ?? "");
  const [reference, setReference] = useState(row?.reference ?? "");
  const cache = useQueryClient();
  const link = useMutation({
    mutationFn: () => api.linkSecret(name.trim(), reference.trim()),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ["secrets"] });
      onLinked(name.trim());
    },
  });
  return (
    <FormDialog
      title={row ? `Link ${row.name}` : "Link a secret"}
      act="Link secret"
      failed="Not linked"
      busy={link.isPending}
      fault={link.error}
      onSend={() => link.mutate()}
      onClose={onClose}
    >
      {row ? null : <NameInput value={name} onName={setName} />}
      <TextInput
        label="Comes from"
        description="SOURCE:PATH#FIELD. The source is a connection to a secret manager, or “environment” or “file” where the operator lets this tenant take from these."
        placeholder="bao:shop/warehouse#password"
        spellCheck={false}
        required
        withAsterisk={false}
        maxLength={1024}
        value={reference}
        onChange={(event) => setReference(event.currentTarget.value)}
        {...(row ? { "data-autofocus": true } : {})}
      />
    </FormDialog>
  );
}

/** Fetch a secret once, as a run would, and say whether it comes. */
export function TestSecret({ name, onClose }: { name: string; onClose: () => void }): ReactNode {
  const test = useQuery({
    queryKey: ["secret-test", name],
    queryFn: () => api.testSecret(name),
    retry: false,
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <Dialog title={`Test ${name}`} busy={test.isPending} onClose={onClose}>
      <div className="form">
        {test.isPending ? <Loader size="sm" aria-label="Asking" /> : null}
        {test.data ? <p>{test.data}</p> : null}
        {test.error ? <Trouble fault={test.error} what="It does not come" /> : null}
        <div className="form-actions">
          <Button onClick={onClose}>Close</Button>
        </div>
      </div>
    </Dialog>
  );
}
