import type { ReactNode } from "react";

/** How a thing stands: it works, wants a look, is over by somebody's hand, or is over. */
export type Tone = "ok" | "warn" | "bad" | "plain";

const SHAPES: Record<Tone, string> = {
  ok: "M2 6.500l2.7 2.700L10 3.5",
  warn: "M6 1.800L10.8 10H1.200zM6 5v2.2",
  bad: "M2.8 2.800l6.4 6.400M9.2 2.800L2.8 9.2",
  plain: "M2.5 6h7",
};

/** A state as shape, colour and words. */
export function Pill({ tone, children }: { tone: Tone; children: ReactNode }): ReactNode {
  return (
    <span className={`state tone-${tone}`}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" focusable="false">
        <path
          d={SHAPES[tone]}
          fill="none"
          stroke="currentColor"
          strokeWidth="1.6"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      {children}
    </span>
  );
}
