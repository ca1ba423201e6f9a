import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type Role } from "../api";
import { useWho } from "../may";
import { Dialog } from "../parts/Dialog";
import { Trouble } from "../parts/Trouble";
import { ROLE_NOTES, rolesOfServices, roleWords } from "../roles";

interface Shown {
  onClose: () => void;
  /** Make a key for the new service user. */
  onKey: (user: string) => void;
}

/** Make a user that is a program: it has nothing but API keys. */
export function NewService({ onClose, onKey }: Shown): ReactNode {
  const who = useWho();
  const roles = rolesOfServices(who.role);
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("operator");
  const cache = useQueryClient();
  const create = useMutation({
    mutationFn: () => api.createService({ name: name.trim(), role }),
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["users"] }),
  });
  const made = create.data;
  if (made)
    return (
      <Dialog title={`${made.name} is made`} onClose={onClose}>
        <div className="form">
          <p>It cannot sign in with a password. What it needs now is a key.</p>
          <div className="form-actions">
            <Button variant="default" onClick={onClose}>
              Later
            </Button>
            <Button onClick={() => onKey(made.id)}>Make a key</Button>
          </div>
        </div>
      </Dialog>
    );
  return (
    <Dialog title="New service user" busy={create.isPending} onClose={onClose}>
      <form
        className="form"
        autoComplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <TextInput
          label="Name"
          description="Of the program. Lower-case letters, digits, “-” and “_”."
          autoComplete="off"
          spellCheck={false}
          required
          withAsterisk={false}
          maxLength={64}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
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
            Create service user
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
