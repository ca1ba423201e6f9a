import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { session } from "../session";
import { Trouble } from "./Trouble";

export const PASSWORD_NOTE =
  "At least 15 characters, or 12 if you have a second factor. A few words in a row do well; your name and well-known " +
  "passwords do not.";

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
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const differs = again !== "" && again !== fresh;
  const change = useMutation({
    mutationFn: () => session.changePassword(old, fresh),
    onMutate: () => onBusy?.(true),
    onSettled: () => onBusy?.(false),
    onSuccess: () => onDone?.(),
  });
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (fresh === again) change.mutate();
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
      <PasswordInput
        label="New password"
        name="new"
        description={PASSWORD_NOTE}
        autoComplete="new-password"
        minLength={12}
        required
        withAsterisk={false}
        value={fresh}
        onChange={(event) => setFresh(event.currentTarget.value)}
      />
      <PasswordInput
        label="New password again"
        name="again"
        autoComplete="new-password"
        required
        withAsterisk={false}
        error={differs ? "This is not the same." : undefined}
        value={again}
        onChange={(event) => setAgain(event.currentTarget.value)}
      />
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
