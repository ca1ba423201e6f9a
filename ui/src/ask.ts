/** Questions to the server, typed by its OpenAPI document: a path, a field or an answer that changes there fails `tsc` here. */
import type { components, paths } from "./openapi";
import { session } from "./session";

export type Schema = components["schemas"];

/** Make what the document leaves open narrower; a field that it does not have, or that does not fit, is an error. */
export type Narrow<Whole, Part extends { [Key in keyof Part]: Key extends keyof Whole ? Whole[Key] : never }> = Omit<
  Whole,
  keyof Part
> &
  Part;

type Method = "get" | "post" | "put" | "delete";
type PathOf<M extends Method> = {
  [Path in keyof paths]: paths[Path] extends Record<M, { responses: unknown }> ? Path : never;
}[keyof paths];
type Operation<M extends Method, Path> = Path extends keyof paths ? NonNullable<paths[Path][M]> : never;

type Answer<O> = O extends { responses: infer R }
  ? { [Status in keyof R]: Status extends 200 | 201 | 202 ? R[Status] : never }[keyof R] extends infer Good
    ? Good extends { content: { "application/json": infer Body } }
      ? Body
      : never
    : never
  : never;
type Places<O> = O extends { parameters: { path: infer P } } ? { places: P } : { places?: never };
type Query<O> = O extends { parameters: { query?: infer Q } }
  ? [Exclude<Q, undefined>] extends [never]
    ? { query?: never }
    : { query?: { [Key in keyof Q]?: Q[Key] | undefined } }
  : { query?: never };
type Body<O> = O extends { requestBody: { content: { "application/json": infer B } } }
  ? { body: B }
  : O extends { requestBody?: { content: { "application/json": infer B } } }
    ? { body?: B }
    : { body?: never };
type Told<O> = Places<O> & Query<O> & Body<O> & { signal?: AbortSignal | undefined };

/** Ask the server as the signed-in person. */
export async function ask<M extends Method, Path extends PathOf<M>>(
  method: M,
  path: Path,
  told: Told<Operation<M, Path>>,
): Promise<Answer<Operation<M, Path>>> {
  const {
    places = {},
    query,
    body,
    signal,
  } = told as {
    places?: Record<string, string>;
    query?: Record<string, string | number | undefined>;
    body?: unknown;
    signal?: AbortSignal;
  };
  const whole = Object.entries(places).reduce(
    (text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(value)),
    String(path),
  );
  const sent = method === "get" || method === "delete" ? undefined : (body ?? {});
  return (await session.request(method.toUpperCase(), whole.slice("/api/v1".length), {
    ...(query ? { query } : {}),
    ...(sent === undefined ? {} : { body: sent }),
    ...(signal ? { signal } : {}),
  })) as Answer<Operation<M, Path>>;
}
