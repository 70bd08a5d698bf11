/**
 * What goes wrong with a request, as clients of OpenAI's API and of Ollama's expect to be told.
 *
 *   OpenAI  {"error": {"message", "type", "param", "code"}}      Ollama  {"error": message}
 *
 * Flow: handlers, the SDK (CriaError) → failureOf → errorResponse, or an event in a stream that has begun.
 */
import { CriaError, type CriaErrorCode } from "../../shared/errors.ts";

/** OpenAI's kinds of errors, and llama.cpp's for a server that is not ready. */
export type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "rate_limit_error"
  | "unavailable_error"
  | "server_error";

/** How a request fails. */
export interface Failure {
  /** HTTP status. */
  readonly status: number;
  readonly type: ErrorType;
  /** For programs: `context_length_exceeded`, `model_not_found` … */
  readonly code: string | null;
  /** The field of the request at fault, where there is one. */
  readonly param: string | null;
  readonly message: string;
  /** Seconds after which trying again may help. */
  readonly retryAfter?: number;
  /** Methods that the address takes, for a 405. */
  readonly allow?: readonly string[];
}

/** An error that already knows its answer. */
export class RequestError extends CriaError {
  readonly failure: Failure;

  constructor(status: number, message: string, rest: Partial<Omit<Failure, "status" | "message">> = {}) {
    super("bad-input", message);
    this.failure = { type: "invalid_request_error", code: null, param: null, ...rest, status, message };
  }
}

type Answer = Omit<Failure, "message" | "param">;

const refused: Answer = { status: 400, type: "invalid_request_error", code: null };
const unavailable: Answer = { status: 503, type: "unavailable_error", code: null };

/** Answers to the errors that a request can cause in the SDK; all others are the server's own fault. */
const answers: Partial<Readonly<Record<CriaErrorCode, Answer>>> = {
  "bad-input": refused,
  "bad-template": { ...refused, code: "chat_template_error" },
  // The request names a thing of the model, such as a chat template, that the model does not have.
  "not-found": refused,
  unsupported: { ...refused, code: "unsupported" },
  "context-full": { ...refused, code: "context_length_exceeded" },
  // Nobody reads this answer: the client has gone. 499 is nginx's number for it.
  aborted: { status: 499, type: "invalid_request_error", code: "client_closed_request" },
  "no-memory": { ...unavailable, code: "no_memory", retryAfter: 5 },
  "device-lost": { ...unavailable, code: "device_lost" },
  disposed: { ...unavailable, code: "shutting_down" },
};

/** What the client is told about an error. Bugs are not described to it: their text may hold what it must not see. */
export function failureOf(error: unknown): Failure {
  if (error instanceof RequestError) return error.failure;
  // The reason of an abort, such as the end of the server, says more than that there was one.
  if (error instanceof CriaError && error.cause instanceof RequestError) return error.cause.failure;
  const answer = error instanceof CriaError ? answers[error.code] : undefined;
  if (answer) return { ...answer, param: null, message: (error as CriaError).message };
  return {
    status: 500,
    type: "server_error",
    code: null,
    param: null,
    message: "the server failed; its log says why",
  };
}

/** The error as OpenAI's clients read it. */
export function openaiError({ message, type, param, code }: Failure): { error: Record<string, unknown> } {
  return { error: { message, type, param, code } };
}

/** A response in the shape of the API that the path belongs to. */
export function errorResponse(failure: Failure, path: string): Response {
  const body = isOllamaPath(path) ? { error: failure.message } : openaiError(failure);
  const headers = new Headers({ "content-type": "application/json" });
  if (failure.retryAfter !== undefined) headers.set("retry-after", String(failure.retryAfter));
  if (failure.allow) headers.set("allow", failure.allow.join(", "));
  if (failure.status === 401) headers.set("www-authenticate", "Bearer");
  return new Response(JSON.stringify(body), { status: failure.status, headers });
}

function isOllamaPath(path: string): boolean {
  return path.startsWith("/api/");
}
