/**
 * A real OpenID Connect provider (npm `oidc-provider`) over TLS on a free port of this machine, for tests. Settings come
 * as JSON on standard input; once it serves, one line of JSON says where. Whoever types a name is that person.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import Provider from "oidc-provider";

const { cert, key, client, secret, redirects, groups } = JSON.parse(readFileSync(0, "utf8"));
const PAGE = `<!doctype html><html lang="en"><title>Provider</title><h1>Who are you?</h1>
<form method="post"><label>Name <input name="login"></label> <button type="submit">Sign in</button></form></html>`;

const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
server.listen(0, "127.0.0.1", () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: client, client_secret: secret, redirect_uris: redirects }],
    claims: { openid: ["sub", "groups"], email: ["email", "email_verified"], profile: ["name"], auth_time: null },
    cookies: { keys: ["only for tests"] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
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
  const speak = provider.callback();
  server.on("request", (request, response) => {
    if (!request.url.startsWith("/interaction/")) return speak(request, response);
    interact(provider, request, response).catch((fault) => {
      console.error(fault);
      response.writeHead(500).end();
    });
  });
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});

/** Ask for a name; what the client asks for is granted. */
async function interact(provider, request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    if (request.method !== "POST") return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
    let form = "";
    for await (const part of request) form += part;
    const accountId = new URLSearchParams(form).get("login");
    return await provider.interactionFinished(request, response, { login: { accountId } });
  }
  const made = { accountId: session.accountId, clientId: params.client_id };
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant(made);
  grant.addOIDCScope(params.scope);
  return await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

process.on("SIGTERM", () => process.exit(0));
