import { expect, it } from "vitest";
import { readBack } from "./back";

const HERE = "/sso/callback/0199-a";

it("reads what a provider puts into the address", () => {
  expect(readBack(HERE, "?code=a%2Bb&state=s&iss=https%3A%2F%2Fid.example")).toEqual({
    at: "0199-a",
    code: "a+b",
    state: "s",
    iss: "https://id.example",
  });
  expect(readBack(HERE, "?code=a&state=s")).toEqual({ at: "0199-a", code: "a", state: "s" });
});

it("reads nothing from what says too little, too much or no", () => {
  for (const search of [
    "",
    "?code=a",
    "?state=s",
    "?code=&state=s",
    "?error=access_denied&state=s&code=a",
    "?code=a&code=b&state=s",
    "?code=a&state=s&state=t",
    "?code=a&state=s&iss=a&iss=b",
  ])
    expect(readBack(HERE, search)).toBeUndefined();
});
