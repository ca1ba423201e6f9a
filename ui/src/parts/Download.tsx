import { type ReactNode, useState } from "react";
import { api, type Served } from "../api";
import { asProblem } from "../problem";

/** A button that saves a file: the server gives a ticket that opens it once. No token is ever in an address. */
export function Download({
  operation,
  question,
  children,
}: {
  operation: Served;
  question: Record<string, unknown>;
  children: ReactNode;
}): ReactNode {
  const [state, setState] = useState<"idle" | "asking" | { wrong: string }>("idle");
  const save = async () => {
    setState("asking");
    try {
      const { url } = await api.ticket(operation, question);
      const link = document.createElement("a");
      link.href = url;
      link.download = "";
      link.rel = "noreferrer";
      link.click();
      setState("idle");
    } catch (fault) {
      setState({ wrong: asProblem(fault).message });
    }
  };
  return (
    <span className="download">
      <button type="button" className="link" disabled={state === "asking"} onClick={() => void save()}>
        {children}
      </button>
      <output className="dim">{typeof state === "object" ? ` ${state.wrong}` : ""}</output>
    </span>
  );
}
