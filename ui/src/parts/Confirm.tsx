import { Button, Modal } from "@mantine/core";
import type { ReactNode } from "react";
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
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ "aria-label": "Close" }}>
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
    </Modal>
  );
}
