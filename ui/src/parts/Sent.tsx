import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { LinkSent } from "../api";
import { moment } from "../format";
import { Copy } from "./Copy";
import { Dialog } from "./Dialog";

/** What became of a one-time link: it is on its way by mail, or is shown here, once, to be handed over. */
export function Sent({ sent, what, onClose }: { sent: LinkSent; what: string; onClose: () => void }): ReactNode {
  return (
    <Dialog
      title={sent.link ? `A link for ${sent.email}` : `On its way to ${sent.email}`}
      once={!!sent.link}
      onClose={onClose}
    >
      <div className="form">
        {sent.link ? (
          <>
            <p>
              No mail is set up here: hand this link over a safe way. {what} It works once, until {moment(sent.expires)}
              , and is shown only now.
            </p>
            <Copy value={sent.link} label="Copy the link" />
          </>
        ) : (
          <p>
            A mail with a link goes to them. {what} It works once, until {moment(sent.expires)}.
          </p>
        )}
        <div className="form-actions">
          <Button onClick={onClose}>{sent.link ? "I have it" : "Close"}</Button>
        </div>
      </div>
    </Dialog>
  );
}
