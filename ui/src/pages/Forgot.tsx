import { Button } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "../api";
import { useAccount } from "../parts/Account";
import { Trouble } from "../parts/Trouble";
import { Door } from "./Door";

/** Ask for a link for a new password. `mail`: whether this server can send one. */
export function Forgot({ mail, onBack }: { mail: boolean; onBack: () => void }): ReactNode {
  const { email, account, fields } = useAccount();
  const forgot = useMutation({ mutationFn: () => api.forgotPassword(account) });
  const back = (
    <Button variant="default" onClick={onBack}>
      Back
    </Button>
  );
  if (!mail)
    return (
      <Door title="Password forgotten">
        <p>
          This server sends no mail. Ask an administrator of your tenant for a link: they find it on your user’s page.
        </p>
        <div className="form-actions">{back}</div>
      </Door>
    );
  if (forgot.isSuccess)
    return (
      <Door title="Look into your mail">
        <p role="status">
          If there is such an account, a link is on its way to <strong>{email}</strong>. It works once.
        </p>
        <div className="form-actions">{back}</div>
      </Door>
    );
  return (
    <Door title="Password forgotten">
      <p className="dim">A link for a new one goes to your e-mail address.</p>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          forgot.mutate();
        }}
      >
        {fields()}
        {forgot.error ? <Trouble fault={forgot.error} /> : null}
        <div className="form-actions">
          {back}
          <Button type="submit" loading={forgot.isPending}>
            Send a link
          </Button>
        </div>
      </form>
    </Door>
  );
}
