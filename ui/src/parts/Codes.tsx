import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { CopyButton } from "./Copy";

/** Offer `text` as a file. */
function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** Recovery codes, shown once: to copy, to print, to keep as a file. */
export function Codes({ codes, onKept }: { codes: readonly string[]; onKept: () => void }): ReactNode {
  const text = `Sluicegate recovery codes, ${location.host}\nEach signs you in once.\n\n${codes.join("\n")}\n`;
  return (
    <div className="form print-this">
      <p>
        Each of these signs you in once when your phone is lost. They are shown this once: print them, or keep them
        safe.
      </p>
      <ul className="codes">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <div className="line-acts">
        <CopyButton value={codes.join("\n")} label="Copy the codes" />
        <button type="button" className="link" onClick={() => window.print()}>
          Print
        </button>
        <button type="button" className="link" onClick={() => download("sluicegate-recovery-codes.txt", text)}>
          Download
        </button>
      </div>
      <div className="form-actions">
        <Button onClick={onKept}>I have kept them</Button>
      </div>
    </div>
  );
}
