/** What the server says when it says no (RFC 9457), as an error that can be thrown and shown. */
export class Problem extends Error {
  readonly code: string;
  readonly status: number;
  readonly where: string;
  readonly hint: string;

  constructor(told: { code: string; status: number; title: string; where?: string; hint?: string }) {
    super(told.title);
    this.name = "Problem";
    this.code = told.code;
    this.status = told.status;
    this.where = told.where ?? "";
    this.hint = told.hint ?? "";
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Return the problem in an answer's body; a body that is none (a proxy's page, say) becomes one that names the status. */
export function readProblem(status: number, body: unknown): Problem {
  const told = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const title = text(told.title) || `The server answered ${status}.`;
  return new Problem({
    code: text(told.code) || "error",
    status,
    title,
    where: text(told.where),
    hint: text(told.hint),
  });
}

/** Return any thrown thing as a problem, so that one component shows them all. */
export function asProblem(fault: unknown): Problem {
  if (fault instanceof Problem) return fault;
  const title = fault instanceof Error ? fault.message : String(fault);
  return new Problem({ code: "error", status: 0, title });
}
