import type { Shelf } from "./api";

/** The kinds of definition: their words, and the text a new one starts from. */
export const SHELVES: Record<Shelf, { title: string; one: string; empty: string; sketch: string }> = {
  flows: {
    title: "Flows",
    one: "flow",
    empty:
      "A flow reads rows, changes and checks them, and writes them somewhere. Write one here, or apply a folder with “sluice apply DIR”.",
    sketch: `kind: flow
name: my-flow
steps:
  - read:  { name: rows, connection: landing, item: "rows.csv", format: { type: csv } }
  - write: { from: rows, connection: warehouse, item: rows, mode: { type: append } }
`,
  },
  connections: {
    title: "Connections",
    one: "connection",
    empty:
      "A connection says where a system is and who signs in there. Its password is a secret, named here and set under Secrets.",
    sketch: `kind: connection
name: warehouse
type: postgres
host: db.example.org
port: 5432
database: shop
user: loader
password: { secret: warehouse-password }
tls: verify-full
`,
  },
  recipients: {
    title: "Recipients",
    one: "recipient",
    empty:
      "A recipient is a public key that archives are sealed for. Only the holder of its private key can open them.",
    sketch: `kind: recipient
name: dpo
type: age
recipient: age1…
`,
  },
};

export function isShelf(text: string): text is Shelf {
  return Object.hasOwn(SHELVES, text);
}
