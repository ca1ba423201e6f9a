import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { Dialog } from "./Dialog";
import { Trouble } from "./Trouble";

interface Shown {
  title: string;
  /** The button's words: what will happen. */
  act: string;
  busy: boolean;
  fault: unknown;
  onAct: () => void;
  onClose: () => void;
  children: ReactNode;
}

/** Ask once before something that cannot be undone. */
export function Confirm({ title, act, busy, fault, onAct, onClose, children }: Shown): ReactNode {
  return (
    <Dialog title={title} busy={busy} onClose={onClose}>
      <div className="form">
        <div className="prose">{children}</div>
        {fault ? <Trouble fault={fault} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Keep
          </Button>
          <Button className="danger" loading={busy} onClick={onAct}>
            {act}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
