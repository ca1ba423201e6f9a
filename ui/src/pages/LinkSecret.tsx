import { Button, Loader, Modal, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type SecretRow } from "../api";
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
    <Modal
      opened
      onClose={onClose}
      title={row ? `Link ${row.name}` : "Link a secret"}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <form
        className="form"
        autoComplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          link.mutate();
        }}
      >
        {row ? null : (
          <TextInput
            label="Name"
            description="Lower-case letters, digits, “-” and “_”."
            spellCheck={false}
            required
            withAsterisk={false}
            maxLength={64}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            data-autofocus
          />
        )}
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
        {link.error ? <Trouble fault={link.error} what="Not linked" /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={link.isPending}>
            Link secret
          </Button>
        </div>
      </form>
    </Modal>
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
    <Modal opened onClose={onClose} title={`Test ${name}`} closeButtonProps={{ "aria-label": "Close" }}>
      <div className="form">
        {test.isPending ? <Loader size="sm" aria-label="Asking" /> : null}
        {test.data ? <p>{test.data}</p> : null}
        {test.error ? <Trouble fault={test.error} what="It does not come" /> : null}
        <div className="form-actions">
          <Button onClick={onClose}>Close</Button>
        </div>
      </div>
    </Modal>
  );
}
