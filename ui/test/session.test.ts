/** The holder of tokens, against real HTTP. */
import { afterEach, expect, it } from "vitest";
import { keepInMemory } from "../src/keep";
import { Problem } from "../src/problem";
import { newPair, prove } from "../src/proof";
import { Session } from "../src/session";
import { CODE, PASSWORD } from "./seed.mjs";
import { start } from "./stub.mjs";

type Stub = Awaited<ReturnType<typeof start>>;
let stub: Stub;

const open = async (options: Parameters<typeof start>[0] = {}) => {
  stub = await start(options);
  return new Session(stub.url);
};
const sign = (session: Session) => session.login({ tenant: "acme", email: "ada@example.org", password: PASSWORD });

afterEach(() => stub.close());

it("signs in, asks, and signs out so that the refresh token is dead on the server too", async () => {
  const session = await open();
  await sign(session);
  expect(session.snapshot().phase).toBe("in");
  expect(await session.request("GET", "/session/whoami")).toMatchObject({ email: "ada@example.org" });
  await session.logout();
  expect(session.snapshot()).toMatchObject({ phase: "out", notice: "" });
  expect(stub.state.refresh.size).toBe(0);
  await expect(session.request("GET", "/flows")).rejects.toMatchObject({ status: 401 });
});

it("tells a wrong password as the server's problem", async () => {
  const session = await open();
  const wrong = session.login({ tenant: "acme", email: "ada@example.org", password: "not the password" });
  await expect(wrong).rejects.toBeInstanceOf(Problem);
  expect(session.snapshot().phase).toBe("out");
});

it("renews once for many questions asked at the same time", async () => {
  const session = await open({ ttl: 1 });
  await sign(session);
  await Promise.all(Array.from({ length: 8 }, () => session.request("GET", "/flows")));
  expect(stub.seen.refreshes).toBe(1);
});

it("renews and asks again when the server refuses a token before its time", async () => {
  const session = await open();
  await sign(session);
  stub.state.access.clear();
  expect(await session.request("GET", "/session/whoami")).toMatchObject({ role: "administrator" });
  expect(stub.seen.refreshes).toBe(1);
});

it("ends the session, with a reason, when it cannot be renewed", async () => {
  const session = await open();
  await sign(session);
  stub.state.access.clear();
  stub.state.refresh.clear();
  await expect(session.request("GET", "/flows")).rejects.toMatchObject({ status: 401 });
  expect(session.snapshot()).toMatchObject({ phase: "out", notice: "Your session has ended. Sign in again." });
});

it("stays signed in while the server is away", async () => {
  const session = await open({ ttl: 1 });
  await sign(session);
  stub.state.down = true;
  await expect(session.request("GET", "/flows")).rejects.toMatchObject({ code: "unreachable" });
  expect(session.snapshot().phase).toBe("in");
  stub.state.down = false;
  expect(await session.request("GET", "/flows")).toHaveProperty("items");
});

it("is not signed in again by an answer that comes after signing out", async () => {
  const session = await open({ ttl: 1 });
  await sign(session);
  const late = session.request("GET", "/flows").catch((fault: unknown) => fault);
  await session.logout();
  expect(await late).toMatchObject({ status: 401 });
  expect(session.snapshot().phase).toBe("out");
});

it("asks for a new password when the given one was for once, and goes on after", async () => {
  const session = await open();
  await session.login({ tenant: "acme", email: "new@example.org", password: "given-once-by-the-admin" });
  expect(session.snapshot().phase).toBe("change");
  await expect(session.changePassword("given-once-by-the-admin", "short")).rejects.toMatchObject({ status: 422 });
  expect(session.snapshot().phase).toBe("change");
  await session.changePassword("given-once-by-the-admin", "a marsh of seven herons");
  expect(session.snapshot().phase).toBe("in");
});

it("makes the first administrator with the right code only", async () => {
  const session = await open({ bootstrap: true });
  expect(await session.open("/health")).toMatchObject({ bootstrap: true });
  const form = { code: "WRONG", email: "root@example.org", name: "Root", password: PASSWORD };
  await expect(session.bootstrap(form)).rejects.toMatchObject({ status: 401 });
  await session.bootstrap({ ...form, code: CODE });
  expect(await session.request("GET", "/session/whoami")).toMatchObject({ role: "superadmin", tenant: null });
});

it("never puts a token where it is kept or logged: not in the address, not in a property, not in its text", async () => {
  const session = await open();
  await sign(session);
  await session.request("GET", "/runs", { query: { limit: 5 } });
  const tokens = [...stub.state.access.keys(), ...stub.state.refresh.keys()];
  const shown =
    JSON.stringify(session) + Object.values(session).map(String).join() + JSON.stringify(session.snapshot());
  for (const token of tokens) expect(shown).not.toContain(token);
  expect(stub.seen.requests.every(({ path, cookie }) => !/[ar]t_/.test(path) && cookie === "")).toBe(true);
});

it("stays signed in over a reload, with the same key, and nothing is left after signing out", async () => {
  const keep = keepInMemory();
  stub = await start();
  const before = new Session(stub.url, keep);
  await sign(before);
  const after = new Session(stub.url, keep);
  await after.resume();
  expect(after.snapshot().phase).toBe("in");
  expect(await after.request("GET", "/session/whoami")).toMatchObject({ email: "ada@example.org" });
  expect(new Set(stub.seen.keys).size).toBe(1);
  await after.logout();
  expect(await keep.load()).toBeUndefined();
});

it("is out after a reload when what was kept is dead", async () => {
  const keep = keepInMemory();
  stub = await start();
  await sign(new Session(stub.url, keep));
  stub.state.refresh.clear();
  const after = new Session(stub.url, keep);
  await after.resume();
  expect(after.snapshot().phase).toBe("out");
  expect(await keep.load()).toBeUndefined();
});

it("makes proofs that the key's public half verifies, for one request each", async () => {
  const pair = await newPair();
  expect(pair.privateKey.extractable).toBe(false);
  const one = await prove(pair, "GET", "https://localhost:8443/api/v1/flows?x=1#y", "token", 1_790_000_000_123);
  const two = await prove(pair, "GET", "https://localhost:8443/api/v1/flows", "token", 1_790_000_000_123);
  const [header = "", payload = "", signature = ""] = one.split(".");
  const read = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString());
  expect(read(header)).toEqual({
    alg: "ES256",
    jwk: { crv: "P-256", kty: "EC", x: expect.any(String), y: expect.any(String) },
    typ: "dpop+jwt",
  });
  expect(read(payload)).toEqual({
    ath: "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A",
    htm: "GET",
    htu: "https://localhost:8443/api/v1/flows",
    iat: 1_790_000_000,
    jti: expect.any(String),
  });
  expect(read(two.split(".")[1] ?? "").jti).not.toBe(read(payload).jti);
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const bytes = Buffer.from(signature, "base64url");
  const signed = new TextEncoder().encode(`${header}.${payload}`);
  expect(await crypto.subtle.verify(algorithm, pair.publicKey, bytes, signed)).toBe(true);
});

it("goes into another tenant with the refresh token that is kept, which another tab may have traded since", async () => {
  await open();
  const keep = keepInMemory();
  const first = new Session(stub.url, keep);
  await first.login({ email: "root@example.org", password: PASSWORD });
  const second = new Session(stub.url, keep);
  await second.resume();
  await first.switchTo("acme");
  expect(first.snapshot().place).toBe(1);
  expect(await first.request("GET", "/session/whoami")).toMatchObject({ tenant_name: "acme" });
  expect((await keep.load())?.identity).toEqual({ email: "root@example.org", tenant: "acme" });
  stub.state.access.clear();
  expect(await second.request("GET", "/session/whoami")).toMatchObject({ tenant_name: "acme" });
  await first.switchTo(undefined);
  expect((await keep.load())?.identity).toEqual({ email: "root@example.org" });
  await Promise.all([first.logout(), second.logout().catch(() => undefined)]);
});

const away = async (session: Session) => {
  const state = new URL(await session.depart("acme")).searchParams.get("state") ?? "";
  return { at: "acme", code: state.slice("st_".length), state };
};

it("comes back from a provider with the key it left with, in a page that is loaded anew", async () => {
  stub = await start();
  const keep = keepInMemory();
  const back = await away(new Session(stub.url, keep));
  const session = new Session(stub.url, keep);
  await session.arrive(back);
  expect(session.snapshot()).toMatchObject({ phase: "in", notice: "" });
  expect(session.bySso).toBe(true);
  const again = new Session(stub.url, keep);
  await again.resume();
  expect(again.snapshot().phase).toBe("in");
  expect(again.bySso).toBe(true);
  await again.logout();
  expect(again.bySso).toBe(false);
});

it("lets nobody in by an answer that it has not asked for, or that it has had", async () => {
  stub = await start();
  const keep = keepInMemory();
  const back = await away(new Session(stub.url, keep));
  const finishes = () => stub.seen.requests.filter((each) => each.path.endsWith("/sso/finish")).length;
  const stranger = new Session(stub.url, keepInMemory());
  await stranger.arrive(back);
  expect(stranger.snapshot().phase).toBe("out");
  expect(stranger.snapshot().notice).toContain("Begin again");
  expect(finishes()).toBe(0);
  await new Session(stub.url, keep).arrive({ ...back, state: "another" });
  expect(finishes()).toBe(0);
  await new Session(stub.url, keep).arrive({ ...back, code: "another" });
  const late = new Session(stub.url, keep);
  await late.arrive(back);
  expect(late.snapshot().phase).toBe("out");
  expect(finishes()).toBe(1);
});

it("stays as it was when the provider lets nobody in, and does not go where no https leads", async () => {
  const session = await open();
  await session.arrive(undefined);
  expect(session.snapshot()).toMatchObject({ phase: "out", notice: "Single sign-on did not finish. Begin again." });
  await expect(session.depart("nowhere")).rejects.toMatchObject({ code: "missing" });
});
