import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { session } from "../session";
import { useNewPassword } from "./NewPassword";
import { Trouble } from "./Trouble";

interface Shown {
  /** The words of the button that leads away. */
  back: string;
  onBack: () => void;
  onDone?: () => void;
  onBusy?: (busy: boolean) => void;
}

/** The form that changes one's password. */
export function PasswordForm({ back, onBack, onDone, onBusy }: Shown): ReactNode {
  const [old, setOld] = useState("");
  const { password, same, differs, fields } = useNewPassword("New password", "New password again");
  const change = useMutation({
    mutationFn: () => session.changePassword(old, password),
    onMutate: () => onBusy?.(true),
    onSettled: () => onBusy?.(false),
    onSuccess: () => onDone?.(),
  });
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (same) change.mutate();
      }}
    >
      <PasswordInput
        label="Current password"
        name="old"
        autoComplete="current-password"
        required
        withAsterisk={false}
        value={old}
        onChange={(event) => setOld(event.currentTarget.value)}
        data-autofocus
      />
      {fields}
      {change.error ? <Trouble fault={change.error} /> : null}
      <div className="form-actions">
        <Button variant="default" onClick={onBack}>
          {back}
        </Button>
        <Button type="submit" loading={change.isPending} disabled={differs}>
          Change password
        </Button>
      </div>
    </form>
  );
}
