import { expect, it } from "vitest";
import { readNetworks } from "./networks";

it("networks are read as people write them, each once", () => {
  expect(readNetworks(" 192.0.2.0/24\n2001:db8::/32, 192.0.2.0/24;\t10.0.0.1 \n")).toEqual([
    "192.0.2.0/24",
    "2001:db8::/32",
    "10.0.0.1",
  ]);
  expect(readNetworks(" \n ")).toEqual([]);
});
