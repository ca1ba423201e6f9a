/** A flow's parameters: which field each gets in the run form, and what is sent. The server checks them again. */

export type ParamType = "bool" | "int64" | "float64" | "text" | "date" | "timestamp" | "decimal";

export interface Param {
  name: string;
  type: ParamType;
  /** The default as text; `undefined` when the run must be told. */
  fallback: string | undefined;
  description: string;
}

const TYPES = new Set<string>(["bool", "int64", "float64", "text", "date", "timestamp", "decimal"]);

/** Return the parameters that a flow's body declares, in its order. */
export function readParams(body: Record<string, unknown>): Param[] {
  const declared = body.params;
  if (typeof declared !== "object" || declared === null) return [];
  return Object.entries(declared as Record<string, unknown>).map(([name, told]) => {
    const param = typeof told === "object" && told !== null ? (told as Record<string, unknown>) : {};
    const type = String(param.type ?? "text");
    const fallback = param.default;
    return {
      name,
      type: (TYPES.has(type) ? type : "text") as ParamType,
      fallback: fallback === null || fallback === undefined ? undefined : String(fallback),
      description: typeof param.description === "string" ? param.description : "",
    };
  });
}

/** Return why `text` cannot be the parameter's value; empty when it can. */
export function faultOf(param: Param, text: string): string {
  const value = text.trim();
  if (!value) return param.fallback === undefined && param.type !== "text" ? "A value is needed." : "";
  if (param.type === "int64" && !/^[+-]?\d+$/.test(value)) return "A whole number is needed.";
  if (param.type === "decimal" && !/^[+-]?(\d+\.?\d*|\.\d+)$/.test(value)) return "A decimal number is needed.";
  if (param.type === "float64" && !Number.isFinite(Number(value))) return "A number is needed.";
  if (param.type === "date" && !/^\d{4}-\d{2}-\d{2}$/.test(value)) return "A date is needed: YYYY-MM-DD.";
  return "";
}

/**
 * Return the JSON values to send. A field left as its default is not sent, so that the flow's own default holds.
 * Whole numbers past 2^53 and decimals go as text: JSON numbers would lose digits on the way.
 */
export function toValues(params: readonly Param[], fields: Readonly<Record<string, string>>): Record<string, unknown> {
  const told: Record<string, unknown> = {};
  for (const param of params) {
    const given = fields[param.name] ?? "";
    const value = param.type === "text" ? given : given.trim();
    if (param.fallback !== undefined && (value === param.fallback || (value === "" && param.type !== "text"))) continue;
    if (param.type === "bool") told[param.name] = value === "true";
    else if (param.type === "float64") told[param.name] = Number(value);
    else if (param.type === "int64") {
      const number = Number(value);
      told[param.name] = Number.isSafeInteger(number) ? number : value;
    } else told[param.name] = value;
  }
  return told;
}
