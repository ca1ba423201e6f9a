import { type ReactNode, useState } from "react";

/** A value with a button that copies it. */
export function Copy({ value, label }: { value: string; label: string }): ReactNode {
  const [said, setSaid] = useState("");
  const copy = () => {
    navigator.clipboard.writeText(value).then(
      () => setSaid("copied"),
      () => setSaid("Copying is not allowed here: select the text instead."),
    );
  };
  return (
    <span className="copy">
      <code>{value}</code>
      <button type="button" className="link" aria-label={label} onClick={copy}>
        Copy
      </button>
      <output className="dim">{said}</output>
    </span>
  );
}
