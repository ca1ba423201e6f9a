import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Trouble } from "../parts/Trouble";
import { session } from "../session";
import { Door } from "./Door";

/** Choose a new password: because one has to (`forced`), or because one wants to (`onDone` leads back). */
export function ChangePassword({ forced = false, onDone }: { forced?: boolean; onDone?: () => void }): ReactNode {
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const [again, setAgain] = useState("");
  const differs = again !== "" && again !== fresh;
  const change = useMutation({
    mutationFn: () => session.changePassword(old, fresh),
    onSuccess: () => onDone?.(),
  });
  return (
    <Door title={forced ? "Choose your own password" : "Change password"}>
      <p className="dim">
        {forced
          ? "The password you signed in with was made for you and works only until you choose your own."
          : "You are signed out everywhere else."}
      </p>
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
        />
        <PasswordInput
          label="New password"
          name="new"
          description="At least 15 characters, or 12 if you have a second factor. A few words in a row do well; your name and well-known passwords do not."
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
          <Button variant="default" onClick={() => (onDone ? onDone() : void session.logout().catch(() => undefined))}>
            {onDone ? "Back" : "Sign out"}
          </Button>
          <Button type="submit" loading={change.isPending} disabled={differs}>
            Change password
          </Button>
        </div>
      </form>
    </Door>
  );
}
