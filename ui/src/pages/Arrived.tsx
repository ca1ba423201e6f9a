import { Button, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api } from "../api";
import { type Arrival, arrival } from "../arrival";
import { useNewPassword } from "../parts/NewPassword";
import { Trouble } from "../parts/Trouble";
import { queries } from "../queries";
import { session } from "../session";
import { Door } from "./Door";

/** Where a one-time link leads: an invitation, a new password, a new e-mail address. `signedIn`: somebody is, here. */
export function Arrived({ came, signedIn }: { came: Arrival; signedIn: boolean }): ReactNode {
  if (came.page === "email") return <NewEmail token={came.token} />;
  if (came.page === "reset") return <NewPassword token={came.token} />;
  return signedIn ? <Taken /> : <Invitation token={came.token} />;
}

/** Who is signed in is not who is invited. */
function Taken(): ReactNode {
  return (
    <Door title="An invitation">
      <p>Somebody is signed in here. Sign out first, if the invitation is for you.</p>
      <div className="form-actions">
        <Button variant="default" onClick={arrival.done}>
          Stay signed in
        </Button>
        <Button onClick={() => void session.logout().catch(() => undefined)}>Sign out</Button>
      </div>
    </Door>
  );
}

function Invitation({ token }: { token: string }): ReactNode {
  const [name, setName] = useState("");
  const { password, same, differs, fields } = useNewPassword("Password", "Once more");
  const accept = useMutation({
    mutationFn: () => session.acceptInvitation({ token, name: name.trim(), password }),
    onSuccess: arrival.done,
  });
  return (
    <Door title="Welcome">
      <p className="dim">You are invited. Tell your name and choose a password; then you are in.</p>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (same) accept.mutate();
        }}
      >
        <TextInput
          label="Name"
          name="name"
          autoComplete="name"
          required
          withAsterisk={false}
          maxLength={254}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        {fields}
        {accept.error ? <Trouble fault={accept.error} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={arrival.done}>
            Not now
          </Button>
          <Button type="submit" loading={accept.isPending} disabled={differs}>
            Accept invitation
          </Button>
        </div>
      </form>
    </Door>
  );
}

function NewPassword({ token }: { token: string }): ReactNode {
  const { password, same, differs, fields } = useNewPassword("Password", "Once more");
  const reset = useMutation({ mutationFn: () => api.resetPassword({ token, password }) });
  if (reset.isSuccess)
    return (
      <Door title="Your password is changed">
        <p role="status">You are signed out everywhere. Sign in with the new one.</p>
        <div className="form-actions">
          <Button onClick={arrival.done}>Go on</Button>
        </div>
      </Door>
    );
  return (
    <Door title="Choose a new password">
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (same) reset.mutate();
        }}
      >
        {fields}
        {reset.error ? <Trouble fault={reset.error} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={arrival.done}>
            Not now
          </Button>
          <Button type="submit" loading={reset.isPending} disabled={differs}>
            Change password
          </Button>
        </div>
      </form>
    </Door>
  );
}

function NewEmail({ token }: { token: string }): ReactNode {
  const confirm = useMutation({
    mutationFn: () => api.confirmEmail({ token }),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["whoami"] });
      void queries.invalidateQueries({ queryKey: ["profile"] });
    },
  });
  return (
    <Door title={confirm.isSuccess ? "Your address is changed" : "A new e-mail address"}>
      <p role="status">
        {confirm.isSuccess
          ? "From now on you sign in with it."
          : "Confirm that this address is yours. From then on you sign in with it."}
      </p>
      {confirm.error ? <Trouble fault={confirm.error} /> : null}
      <div className="form-actions">
        {confirm.isSuccess ? (
          <Button onClick={arrival.done}>Go on</Button>
        ) : (
          <>
            <Button variant="default" onClick={arrival.done}>
              Not now
            </Button>
            <Button loading={confirm.isPending} onClick={() => confirm.mutate()}>
              Confirm
            </Button>
          </>
        )}
      </div>
    </Door>
  );
}
