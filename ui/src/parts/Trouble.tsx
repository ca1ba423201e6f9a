import type { ReactNode } from "react";
import { asProblem } from "../problem";

interface Shown {
  fault: unknown;
  /** What was being tried: "Saving failed". */
  what?: string;
  action?: ReactNode;
}

/** A problem as the server tells it: what, where and what to do. Announced when it appears. */
export function Trouble({ fault, what, action }: Shown): ReactNode {
  const problem = asProblem(fault);
  return (
    <div className="trouble" role="alert">
      <div className="trouble-body">
        {what ? <strong className="trouble-what">{what}</strong> : null}
        <p className="trouble-title">{problem.message}</p>
        {problem.where ? (
          <p className="trouble-where">
            <span className="dim">at</span> <code>{problem.where}</code>
          </p>
        ) : null}
        {problem.hint ? <p className="trouble-hint">{problem.hint}</p> : null}
      </div>
      {action}
    </div>
  );
}
