/**
 * An address of the server: where it is, what it takes, what it does. One list of them makes the routes and the OpenAPI
 * document, so that the two cannot differ.
 *
 * Flow: endpoints.ts, page-data.ts → createServer → routes, /openapi.json.
 */
import type { z } from "@hono/zod-openapi";
import type { ServerContext } from "./context.ts";

/** What a handler gets besides the context. */
export interface Call<Body> {
  readonly request: Request;
  readonly body: Body;
  /** Parts of the path, by name. */
  readonly params: Readonly<Record<string, string>>;
}

export interface Endpoint {
  readonly method: "get" | "post" | "put" | "delete";
  /** With parts in colons: `/v1/models/:id`. */
  readonly path: string;
  /** A heading of the document. */
  readonly tag: string;
  readonly summary: string;
  /** The JSON that it takes; absent where it takes none. */
  readonly body?: z.ZodType<unknown>;
  /** Longest body in bytes, where it may be longer than others. */
  readonly bodyBytes?: number;
  /** Open to all even where an API key is set. Default false. */
  readonly open?: boolean;
  readonly handle: (context: ServerContext, call: Call<never>) => Response | Promise<Response>;
}

/** An address that is read. */
export function get(
  path: string,
  tag: string,
  summary: string,
  handle: (context: ServerContext, call: Call<undefined>) => Response | Promise<Response>,
): Endpoint {
  return { method: "get", path, tag, summary, handle: handle as Endpoint["handle"] };
}

/** An address that JSON is sent to; `handle` gets it checked. */
export function post<Body>(
  path: string,
  tag: string,
  summary: string,
  body: z.ZodType<Body>,
  handle: (context: ServerContext, call: Call<Body>) => Response | Promise<Response>,
): Endpoint {
  return { method: "post", path, tag, summary, body, handle: handle as Endpoint["handle"] };
}
