/**
 * A real OpenID Connect provider (npm `oidc-provider`) over TLS on a free port of this machine, for tests. Settings come
 * as JSON on standard input; once it serves, one line of JSON says where. Whoever types a name is that person.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import Provider from "oidc-provider";

const { cert, key, client, secret, redirects, groups } = JSON.parse(readFileSync(0, "utf8"));
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
server.listen(0, "127.0.0.1", () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: client, client_secret: secret, redirect_uris: redirects }],
    claims: { openid: ["sub", "groups"], email: ["email", "email_verified"], profile: ["name"], auth_time: null },
    cookies: { keys: ["only for tests"] },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id}@corp.example`,
        email_verified: true,
        name: id[0].toUpperCase() + id.slice(1),
        groups: groups[id] ?? [],
      }),
    }),
  });
  server.on("request", provider.callback());
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
process.on("SIGTERM", () => process.exit(0));
