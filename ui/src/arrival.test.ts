import { expect, it } from "vitest";
import { readArrival } from "./arrival";

it("a link's page and token are read from the fragment, and from nothing else", () => {
  expect(readArrival("#/invitation/inv_a-B9")).toEqual({ page: "invitation", token: "inv_a-B9" });
  expect(readArrival("#/reset/x")).toEqual({ page: "reset", token: "x" });
  expect(readArrival("#/email/x")).toEqual({ page: "email", token: "x" });
  for (const other of ["", "#main", "#/invitation/", "#/invitation/a/b", "#/other/x", "#/reset/<b>", "x#/reset/x"])
    expect(readArrival(other), other).toBeUndefined();
});
