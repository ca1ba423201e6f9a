import { Button, TextInput } from "@mantine/core";
import type { FormEvent, ReactNode } from "react";
import { Dialog } from "./Dialog";
import { Trouble } from "./Trouble";

interface Shown {
  title: string;
  /** The button's words: what will happen. */
  act: string;
  /** What has not come about when it fails. */
  failed: string;
  busy: boolean;
  fault: unknown;
  wide?: boolean;
  onSend: () => void;
  onClose: () => void;
  children: ReactNode;
}

/** A dialog with a form: what is wrong stands above the buttons, and what was typed stays. */
export function FormDialog({ title, act, failed, busy, fault, wide, onSend, onClose, children }: Shown): ReactNode {
  const send = (event: FormEvent) => {
    event.preventDefault();
    onSend();
  };
  return (
    <Dialog title={title} busy={busy} wide={wide ?? false} onClose={onClose}>
      <form className="form" autoComplete="off" onSubmit={send}>
        {children}
        {fault ? <Trouble fault={fault} what={failed} /> : null}
        <div className="form-actions">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy}>
            {act}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The name of something new; `of` says what it names, when that is not plain. */
export function NameInput({
  of,
  value,
  onName,
}: {
  of?: string;
  value: string;
  onName: (name: string) => void;
}): ReactNode {
  const letters = "Lower-case letters, digits, “-” and “_”.";
  return (
    <TextInput
      label="Name"
      description={of ? `${of} ${letters}` : letters}
      autoComplete="off"
      spellCheck={false}
      required
      withAsterisk={false}
      maxLength={64}
      value={value}
      onChange={(event) => onName(event.currentTarget.value)}
      data-autofocus
    />
  );
}
