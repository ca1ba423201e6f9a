import { Modal } from "@mantine/core";
import type { ReactNode } from "react";

interface Shown {
  title: string;
  /** While something is asked of the server, a stray key or click does not close it: a fresh proof may be asked for above it. */
  busy?: boolean;
  /** It shows what is never shown again, so only its own button closes it. */
  once?: boolean;
  wide?: boolean;
  onClose: () => void;
  children: ReactNode;
}

/** A dialog. */
export function Dialog({ title, busy = false, once = false, wide = false, onClose, children }: Shown): ReactNode {
  const held = busy || once;
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      size={wide ? "lg" : "md"}
      closeOnEscape={!held}
      closeOnClickOutside={!held}
      withCloseButton={!once}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {children}
    </Modal>
  );
}
