import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, type UserRow } from "../api";
import { Confirm } from "../parts/Confirm";
import { Panel } from "../parts/Page";
import { Sent } from "../parts/Sent";
import { Trouble } from "../parts/Trouble";
import { Until } from "../parts/When";
import { isService, nameOf } from "./User";

/** Return what has the list of users read again. */
export function useFresh(): () => void {
  const cache = useQueryClient();
  return () => void cache.invalidateQueries({ queryKey: ["users"] });
}

/** Somebody who has yet to come. */
export function InvitedPanel({ row }: { row: UserRow }): ReactNode {
  const [asking, setAsking] = useState(false);
  const fresh = useFresh();
  // The answer may hold the link: it goes when this page goes, or its dialog.
  const resend = useMutation({ mutationFn: () => api.resendInvitation(row.id), gcTime: 0, onSuccess: fresh });
  const cancel = useMutation({
    mutationFn: () => api.cancelInvitation(row.id),
    onSuccess: () => {
      fresh();
      setAsking(false);
    },
  });
  return (
    <Panel
      title="Invitation"
      acts={
        <span className="page-actions">
          <Button variant="default" className="danger-quiet" onClick={() => setAsking(true)}>
            Cancel invitation
          </Button>
          <Button variant="default" loading={resend.isPending} onClick={() => resend.mutate()}>
            Send a new link
          </Button>
        </span>
      }
    >
      <p className="dim">
        They have yet to come.{" "}
        {row.link_expires ? (
          <>
            Their link ends <Until at={row.link_expires} />.
          </>
        ) : (
          "Their link is over."
        )}{" "}
        {row.mail ? `The mail: ${row.mail}.` : "No mail was sent."}
      </p>
      {resend.error ? <Trouble fault={resend.error} /> : null}
      {resend.data ? (
        <Sent sent={resend.data} what="The link before it is dead." onClose={() => resend.reset()} />
      ) : null}
      {asking ? (
        <Confirm
          title={`Cancel the invitation of ${nameOf(row)}?`}
          act="Cancel invitation"
          busy={cancel.isPending}
          fault={cancel.error}
          onAct={() => cancel.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>Their link is dead from then on.</p>
        </Confirm>
      ) : null}
    </Panel>
  );
}

/** Help for who forgot their password. */
export function PasswordPanel({ row }: { row: UserRow }): ReactNode {
  const fresh = useFresh();
  const offer = useMutation({ mutationFn: () => api.offerReset(row.id), gcTime: 0, onSuccess: fresh });
  return (
    <Panel
      title="Password"
      acts={
        <Button variant="default" loading={offer.isPending} onClick={() => offer.mutate()}>
          Send a reset link
        </Button>
      }
    >
      <p className="dim">
        Have they forgotten it? A link lets them choose a new one; nobody chooses it for them, and their second factor
        stays.
      </p>
      {offer.error ? <Trouble fault={offer.error} /> : null}
      {offer.data ? (
        <Sent sent={offer.data} what="They choose a new password by it." onClose={() => offer.reset()} />
      ) : null}
    </Panel>
  );
}

/** Somebody who was deactivated. */
export function AgainPanel({ row }: { row: UserRow }): ReactNode {
  const fresh = useFresh();
  const again = useMutation({ mutationFn: () => api.reactivateUser(row.id), onSuccess: fresh });
  return (
    <Panel
      title="Access"
      acts={
        <Button variant="default" loading={again.isPending} onClick={() => again.mutate()}>
          Reactivate
        </Button>
      }
    >
      <p className="dim">
        {isService(row)
          ? "It is out. Back in, it needs new keys."
          : "They are out. Back in, they sign in as before; who has never come needs a new invitation."}
      </p>
      {again.error ? <Trouble fault={again.error} /> : null}
    </Panel>
  );
}
