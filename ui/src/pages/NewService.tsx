import { Button, NativeSelect } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type Role } from "../api";
import { useWho } from "../may";
import { Dialog } from "../parts/Dialog";
import { FormDialog, NameInput } from "../parts/FormDialog";
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
    <FormDialog
      title="New service user"
      act="Create service user"
      failed="Not created"
      busy={create.isPending}
      fault={create.error}
      onSend={() => create.mutate()}
      onClose={onClose}
    >
      <NameInput of="Of the program." value={name} onName={setName} />
      <NativeSelect
        label="Role"
        description={ROLE_NOTES[role]}
        inputWrapperOrder={["label", "input", "description", "error"]}
        data={roles.map((each) => ({ value: each, label: roleWords(each) }))}
        value={role}
        onChange={(event) => setRole(event.currentTarget.value as Role)}
      />
    </FormDialog>
  );
}
