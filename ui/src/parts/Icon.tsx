import type { ReactNode } from "react";

const PATHS = {
  flows: "M3 5h5v4H3zM12 11h5v4h-5zM8 7h3.5a2 2 0 0 1 2 2v2",
  runs: "M6.5 4.500v11l9-5.500z",
  connections:
    "M7.5 12.500l5-5M9 5.500l1.3-1.300a3.3 3.3 0 0 1 4.7 4.700L13.7 10.200M11 14.500l-1.3 1.300A3.3 3.3 0 0 1 5 11.100L6.3 9.8",
  recipients: "M3.5 5.500h13v9h-13zM3.5 6l6.5 5 6.5-5",
  secrets: "M12.5 4a3.5 3.5 0 1 1-2.9 5.500L4 15v2h3v-2h2v-2l1.3-1.3",
  users: "M10 9.500a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM4 17c0-3.3 2.7-5 6-5s6 1.7 6 5",
  keys: "M3 5h14v10H3zM6 8.500l2 1.500-2 1.500M10 12h4",
  policy: "M10 3l6 2v4.500c0 3.5-2.500 6-6 7.500-3.500-1.500-6-4-6-7.500V5z",
  support:
    "M2.5 10c2-3.700 4.500-5.500 7.500-5.500s5.500 1.800 7.500 5.500c-2 3.700-4.500 5.500-7.500 5.500S4.500 13.700 2.500 10zM10 12.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  sso: "M10 3.500l6 2.200v4c0 3.6-2.5 5.9-6 7-3.500-1.100-6-3.400-6-7v-4zM7.5 10l1.8 1.800 3.200-3.500",
  tenants: "M4 17V5l6-2v14M10 8l6 2v7M3 17h14M6.5 8v0M6.5 11v0M13 12.500v0",
  mail: "M3 4.500h14v11H3zM3 5.500l7 5 7-5M3 15l5-5.500M17 15l-5-5.500",
  audit: "M4 4h12M4 8h12M4 12h7M4 16h5M13 14.500l1.5 1.5 2.5-3",
} as const;

export type IconName = keyof typeof PATHS;

/** A small line drawing beside a word; it says nothing that the word does not. */
export function Icon({ name }: { name: IconName }): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}

/** The mark: a gate above water. */
export function Mark({ size = 22 }: { size?: number }): ReactNode {
  return (
    <svg className="mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" focusable="false">
      <path d="M6 4v24M26 4v24" stroke="currentColor" strokeWidth="2.6" strokeLinecap="round" />
      <path d="M10.5 4h11v10.500h-11z" fill="currentColor" />
      <path
        className="mark-water"
        d="M7.5 20.500c2.8 0 2.8-2.2 5.7-2.200s2.8 2.2 5.7 2.2 2.8-2.2 5.6-2.200M7.5 26c2.8 0 2.8-2.2 5.7-2.200s2.8 2.2 5.7 2.2 2.8-2.2 5.6-2.2"
        fill="none"
        strokeWidth="2.2"
      />
    </svg>
  );
}
