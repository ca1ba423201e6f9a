import { Button, NativeSelect, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import type { Role } from "../api";
import { ROLE_NOTES, roleWords } from "../roles";
import { Copy } from "./Copy";
import { Dialog } from "./Dialog";
import { Trouble } from "./Trouble";

export interface NewPerson {
  email: string;
  name: string;
  role: Role;
}

interface Shown {
  title: string;
  /** The words of the button, and of what did not happen. */
  act: string;
  failed: string;
  /** The roles to choose from, and the first choice; none when there is but one. */
  roles?: { all: Role[]; first: Role };
  /** Whether the name may be left out, and what is said of it then. */
  nameless?: { note?: string };
  busy: boolean;
  fault: unknown;
  onSend: (person: NewPerson) => void;
  onClose: () => void;
}

/** The form for somebody new: address, name, and role where there is a choice. */
export function PersonForm({ title, act, failed, roles, nameless, busy, fault, onSend, onClose }: Shown): ReactNode {
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>(roles?.first ?? "viewer");
  return (
    <Dialog title={title} busy={busy} onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          onSend({ email: email.trim(), name: name.trim(), role });
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
          description={nameless?.note}
          autoComplete="off"
          required={!nameless}
          withAsterisk={false}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        {roles ? (
          <NativeSelect
            label="Role"
            description={ROLE_NOTES[role]}
            inputWrapperOrder={["label", "input", "description", "error"]}
            data={roles.all.map((each) => ({ value: each, label: roleWords(each) }))}
            value={role}
            onChange={(event) => setRole(event.currentTarget.value as Role)}
          />
        ) : null}
        {fault ? <Trouble fault={fault} what={failed} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy}>
            {act}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** What somebody new signs in with the first time, shown once. */
export function FirstPassword(shown: {
  name: string;
  password: string;
  where?: string;
  onClose: () => void;
}): ReactNode {
  return (
    <Dialog title={`${shown.name} can sign in`} once onClose={shown.onClose}>
      <div className="form">
        <p>
          Give them this one-time password over a safe way. It is shown only now; they choose their own when they first
          sign in{shown.where ?? ""}.
        </p>
        <Copy value={shown.password} label="Copy the password" />
        <div className="form-actions">
          <Button onClick={shown.onClose}>I have it</Button>
        </div>
      </div>
    </Dialog>
  );
}
