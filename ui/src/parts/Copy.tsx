import { type ReactNode, useState } from "react";

interface Shown {
  value: string;
  /** What the button does, for people who do not see what stands beside it. */
  label: string;
}

/** A button that copies `value`, and says how that went. */
export function CopyButton({ value, label }: Shown): ReactNode {
  const [said, setSaid] = useState("");
  const copy = () => {
    navigator.clipboard.writeText(value).then(
      () => setSaid("copied"),
      () => setSaid("Copying is not allowed here: select the text instead."),
    );
  };
  return (
    <>
      <button type="button" className="link" aria-label={label} onClick={copy}>
        Copy
      </button>
      <output className="dim">{said}</output>
    </>
  );
}

/** A value with a button that copies it. */
export function Copy({ value, label }: Shown): ReactNode {
  return (
    <span className="copy">
      <code>{value}</code>
      <CopyButton value={value} label={label} />
    </span>
  );
}

/** Lines for a terminal, with a button that copies them. */
export function Lines({ title, text }: { title: string; text: string }): ReactNode {
  return (
    <figure className="lines">
      <figcaption>
        {title} <CopyButton value={text} label={`Copy: ${title}`} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region needs the focus to scroll by keyboard */}
      <pre tabIndex={0}>{text}</pre>
    </figure>
  );
}
