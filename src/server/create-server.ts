/**
 * The server as one function from a Request to a Response, for any runtime that knows these two.
 *
 *   guard → route → body within limits, checked → handler → headers
 *
 * Flow: Request → fetch → endpoints.ts → Response. `cria serve` puts it behind a socket; an app can mount it in its own.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { createContext, type ServerContext, type ServerOptions } from "./context.ts";
import type { Endpoint } from "./endpoint.ts";
import { endpoints } from "./endpoints.ts";
import { readBody } from "./http/body.ts";
import { errorResponse, failureOf, RequestError } from "./http/errors.ts";
import { createGuard } from "./http/guard.ts";
import { createPage } from "./page.ts";

export interface CriaServer {
  /** Answers a request. Never throws: errors are responses. */
  fetch(request: Request): Promise<Response>;
  /** Ends all answers that are being made, and refuses new ones. The model stays. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * A server of one model with OpenAI's API and Ollama's.
 *
 * @example
 * const server = createServer({ model: await load("model.gguf") });
 * const response = await server.fetch(new Request("http://localhost/v1/models"));
 */
export function createServer(options: ServerOptions): CriaServer {
  const closing = new AbortController();
  const context = createContext(options, closing.signal);
  const guard = createGuard(options);
  const page = options.page ? createPage(options.page) : undefined;
  const all = [...endpoints, ...(options.endpoints ?? [])];
  const openPaths = new Set(["/", ...all.filter(({ open }) => open).map(({ path }) => path)]);
  const app = createRoutes(context, all);

  const answer = async (request: Request): Promise<Response> => {
    closing.signal.throwIfAborted();
    const preflight = guard.preflight(request);
    if (preflight) return preflight;
    const { pathname } = new URL(request.url);
    const isRead = request.method === "GET" || request.method === "HEAD";
    const file = isRead ? await page?.(request) : undefined;
    await guard.check(request, !file && !openPaths.has(pathname));
    if (file) return file;
    if (isRead && pathname === "/")
      return new Response(request.method === "HEAD" ? null : "Ollama is running");
    return app.fetch(request);
  };

  const dispose = () =>
    closing.abort(new RequestError(503, "the server is shutting down", { type: "unavailable_error" }));
  return {
    async fetch(request) {
      // All that follows reads the address, which a Host header that names no host makes unreadable.
      if (!URL.canParse(request.url))
        return finish(new Response("the Host header is no host\n", { status: 400 }), {});
      let response: Response;
      try {
        response = await answer(request);
      } catch (error) {
        response = failed(context, error, request);
      }
      return finish(response, guard.corsHeaders(request));
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function createRoutes(context: ServerContext, all: readonly Endpoint[]): OpenAPIHono {
  const app = new OpenAPIHono();
  for (const endpoint of all) {
    app.on(endpoint.method.toUpperCase(), endpoint.path, (c) => run(context, endpoint, c));
    describe(app, endpoint);
  }
  const patterns = all.map(({ method, path }) => ({ method, pattern: patternOf(path) }));
  app.get("/openapi.json", (c) => c.json(openapiDocument(app, context)));
  app.notFound((c) => {
    const found = patterns.filter(({ pattern }) => pattern.test(c.req.path));
    const methods = [...new Set(found.map(({ method }) => method.toUpperCase()))];
    const error =
      methods.length > 0
        ? new RequestError(405, `${c.req.path}: takes ${methods.join(", ")}, not ${c.req.method}`, {
            allow: methods,
          })
        : new RequestError(404, `there is no ${c.req.path} here; /openapi.json lists what there is`, {
            code: "not_found",
          });
    return failed(context, error, c.req.raw);
  });
  app.onError((error, c) => failed(context, error, c.req.raw));
  return app;
}

/** What the addresses of an endpoint look like: its path with parts in colons. */
function patternOf(path: string): RegExp {
  const parts = path.split(/(:\w+(?:\{[^}]*\})?)/);
  const sources = parts.map((part, index) =>
    index % 2 === 0 ? part.replaceAll(".", "\\.") : (/\{(.*)\}/.exec(part)?.[1] ?? "[^/]+"),
  );
  return new RegExp(`^${sources.join("")}$`);
}

async function run(context: ServerContext, endpoint: Endpoint, c: Context): Promise<Response> {
  const request = c.req.raw;
  const limits = endpoint.bodyBytes ? { ...context.limits, bodyBytes: endpoint.bodyBytes } : context.limits;
  const body = endpoint.body ? await readBody(request, endpoint.body, limits) : undefined;
  return endpoint.handle(context, { request, body: body as never, params: c.req.param() });
}

function failed(context: ServerContext, error: unknown, request: Request): Response {
  const failure = failureOf(error);
  context.report(error);
  context.metrics.failure(failure.status);
  return errorResponse(failure, new URL(request.url).pathname);
}

/** The headers that every response has: nothing of the server is to be guessed at, framed or cached by others. */
function finish(response: Response, cors: Readonly<Record<string, string>>): Response {
  const { headers } = response;
  const set = (name: string, value: string) => {
    if (!headers.has(name)) headers.set(name, value);
  };
  set("x-content-type-options", "nosniff");
  set("x-frame-options", "DENY");
  set("referrer-policy", "no-referrer");
  set("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
  set("cross-origin-resource-policy", Object.keys(cors).length > 0 ? "cross-origin" : "same-origin");
  set("x-request-id", crypto.randomUUID());
  for (const [name, value] of Object.entries(cors)) headers.set(name, value);
  return response;
}

function describe(app: OpenAPIHono, { method, path, tag, summary, body }: Endpoint): void {
  app.openAPIRegistry.registerPath({
    method,
    path: path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}"),
    tags: [tag],
    summary,
    parameters: Array.from(path.matchAll(/:(\w+)/g), ([, name]) => ({
      name,
      in: "path" as const,
      required: true,
      schema: { type: "string" as const },
    })),
    ...(body
      ? { request: { body: { required: true, content: { "application/json": { schema: body } } } } }
      : {}),
    responses: {
      200: { description: "The answer; with `stream`, pieces of it." },
      400: { description: "The request is at fault; the message names the field." },
    },
  });
}

function openapiDocument(app: OpenAPIHono, context: ServerContext): object {
  const { apiKeys, version = "0" } = context.options;
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Cria",
      version,
      description: "A Llama model behind OpenAI's API and Ollama's. A null field is the same as none.",
    },
    ...(apiKeys && apiKeys.length > 0 ? { security: [{ key: [] }] } : {}),
  });
  return {
    ...document,
    components: {
      ...document.components,
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
  };
}
