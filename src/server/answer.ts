/**
 * Makes one answer for a request, counts it, and ends it when the client leaves or the server closes.
 *
 * Flow: handlers (prompt, options) → answer → Model → tokens, then the result.
 */
import type { GeneratedToken, GenerateOptions, GenerationResult, PromptText } from "../generate/generate.ts";
import type { Model } from "../generate/model.ts";
import { CriaError } from "../shared/errors.ts";
import type { ServerContext } from "./context.ts";
import { RequestError } from "./http/errors.ts";
import { oneAhead } from "./one-ahead.ts";

/**
 * Yields the answer's tokens and returns the whole.
 *
 * @throws {RequestError} 400 context_length_exceeded for a prompt that is too long.
 * @throws {CriaError} what the model throws.
 */
export async function* answer(
  context: ServerContext,
  model: Model,
  prompt: PromptText,
  options: GenerateOptions & { readonly signal: AbortSignal },
): AsyncGenerator<GeneratedToken, GenerationResult> {
  checkLength(model, prompt.ids.length);
  const record = context.metrics.begin();
  let ended = false;
  try {
    const generation = model.generate(prompt, options);
    for await (const token of oneAhead(generation.tokens())) {
      record.token();
      yield token;
    }
    const result = await generation.result();
    ended = true;
    record.end(result.finishReason, result.timings);
    return result;
  } catch (error) {
    ended = true;
    record.end(error instanceof CriaError && error.code === "aborted" ? "abort" : "error");
    throw error;
  } finally {
    if (!ended) record.end("abort");
  }
}

/** @throws {RequestError} 400 in OpenAI's words, with which clients shorten a conversation. */
export function checkLength(model: Model, length: number): void {
  if (length >= model.contextLength)
    throw new RequestError(
      400,
      `This model's maximum context length is ${model.contextLength} tokens. However, your prompt has ${length} tokens ` +
        "and leaves no room for an answer. Please reduce its length.",
      { code: "context_length_exceeded", param: "messages" },
    );
}

/** The work of one request: a signal to end it, and its end. */
export interface RequestScope {
  readonly signal: AbortSignal;
  abort(): void;
  /** To be called when the response is written: lets go of what the signal listens to. */
  end(): void;
}

/**
 * Lets a request's work begin. Its signal fires when the client leaves, when the server closes, when the time is up, or
 * when `abort` is called.
 *
 * @throws {RequestError} 429 when too many answers are made or wait already.
 */
export function requestScope(context: ServerContext, request: Request): RequestScope {
  if (context.metrics.running >= context.queueLimit)
    throw new RequestError(429, "the server has as many requests as it takes; try again in a moment", {
      type: "rate_limit_error",
      code: "rate_limit_exceeded",
      retryAfter: 1,
    });
  const controller = new AbortController();
  const sources = [request.signal, context.closing];
  const follow = () => controller.abort(sources.find(({ aborted }) => aborted)?.reason);
  const timer = setTimeout(
    () => controller.abort(timeUp(context.timeoutSeconds)),
    context.timeoutSeconds * 1000,
  );
  for (const source of sources) source.addEventListener("abort", follow);
  if (sources.some(({ aborted }) => aborted)) follow();
  return {
    signal: controller.signal,
    abort: () => controller.abort(),
    end() {
      clearTimeout(timer);
      for (const source of sources) source.removeEventListener("abort", follow);
    },
  };
}

/** The result of a request's work, which ends with it. */
export async function within<Result>(scope: RequestScope, work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } finally {
    scope.end();
  }
}

function timeUp(seconds: number): RequestError {
  return new RequestError(503, `the answer took longer than ${seconds} seconds`, {
    type: "unavailable_error",
    code: "timeout",
    retryAfter: 1,
  });
}
