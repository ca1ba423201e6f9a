import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type Role } from "../api";
import { useWho } from "../may";
import { Dialog } from "../parts/Dialog";
import { Sent } from "../parts/Sent";
import { Trouble } from "../parts/Trouble";
import { ROLE_NOTES, rolesToGive, roleWords } from "../roles";

/** Ask somebody to come: by mail, or by a link to hand over. */
export function Invite({ onClose }: { onClose: () => void }): ReactNode {
  const who = useWho();
  const roles = rolesToGive(who.role);
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const cache = useQueryClient();
  const invite = useMutation({
    mutationFn: () => api.invite({ email: email.trim(), name: name.trim(), role }),
    // The answer may hold the link: it goes when this form goes.
    gcTime: 0,
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["users"] }),
  });
  if (invite.data)
    return <Sent sent={invite.data} what="They choose their name and password by it." onClose={onClose} />;
  return (
    <Dialog title="Invite somebody" busy={invite.isPending} onClose={onClose}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          invite.mutate();
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
          description="They may write it otherwise."
          autoComplete="off"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <NativeSelect
          label="Role"
          description={ROLE_NOTES[role]}
          inputWrapperOrder={["label", "input", "description", "error"]}
          data={roles.map((each) => ({ value: each, label: roleWords(each) }))}
          value={role}
          onChange={(event) => setRole(event.currentTarget.value as Role)}
        />
        {invite.error ? <Trouble fault={invite.error} what="Not invited" /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={invite.isPending}>
            Invite
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
