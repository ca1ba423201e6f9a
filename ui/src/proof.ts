/**
 * Proof of possession (DPoP, RFC 9449): this browser's own key pair, which cannot be exported, signs each request. A
 * token that is copied out of the page is of no use anywhere else.
 */

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;
const text = new TextEncoder();

function encode(bytes: ArrayBuffer | Uint8Array): string {
  let binary = "";
  for (const byte of new Uint8Array(bytes)) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const part = (value: unknown): string => encode(text.encode(JSON.stringify(value)));

/** A fresh key pair whose private half never leaves the browser. */
export const newPair = (): Promise<CryptoKeyPair> => crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);

/**
 * A proof for one request: `url` is the whole address (its query is left out), `access` the token that goes along, `now`
 * the server's time in milliseconds.
 */
export async function prove(
  pair: CryptoKeyPair,
  method: string,
  url: string,
  access: string,
  now: number,
): Promise<string> {
  const { crv, kty, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const target = new URL(url);
  const claims = {
    htm: method,
    htu: target.origin + target.pathname,
    iat: Math.floor(now / 1000),
    jti: encode(crypto.getRandomValues(new Uint8Array(16))),
    ...(access ? { ath: encode(await crypto.subtle.digest("SHA-256", text.encode(access))) } : {}),
  };
  const signed = `${part({ alg: "ES256", jwk: { crv, kty, x, y }, typ: "dpop+jwt" })}.${part(claims)}`;
  return `${signed}.${encode(await crypto.subtle.sign(SIGNATURE, pair.privateKey, text.encode(signed)))}`;
}
