import { expect, it } from "vitest";
import { lineOf } from "./place";
import { Problem } from "./problem";

const TEXT = `kind: flow
name: a
params: { day: { type: date } }
steps:
  - read:  { name: rows, connection: landing, item: "a.csv" }
  - map:
      name: clean
      from: rows
      columns: { x: x }
  - write: { from: clean, connection: warehouse, item: a }
---
kind: connection
name: landing
type: files
root: in
`;

const problem = (title: string, where = "") => new Problem({ code: "invalid", status: 422, title, where });

it.each([
  ["this is not YAML: found a tab", "line 7", 7],
  ["step clean, colums: unknown key", "line 9, flow a", 9],
  ["root: unknown key", "line 15, connection landing", 15],
  ["step clean: columns: is required", "flow a", 7],
  ["step write-3: mode: is required", "flow a", 10],
  ["steps[0].read.item: is required", "", 5],
  ["there is no connection 'warehouse'", "flow a, step write-3", 10],
])("finds the line of %j at %j", (title, where, line) => {
  expect(lineOf(problem(title, where), TEXT)).toBe(line);
});

it("points nowhere rather than at a wrong line", () => {
  expect(lineOf(problem("Too many requests."), TEXT)).toBeUndefined();
  expect(lineOf(problem("this is not YAML", "line 99"), TEXT)).toBeUndefined();
  expect(lineOf(problem("step (: unknown"), TEXT)).toBeUndefined();
});
