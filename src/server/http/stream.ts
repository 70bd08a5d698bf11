/**
 * Responses that are written while they are made: server-sent events (OpenAI) and lines of JSON (Ollama).
 *
 *   data: {json}\n\n … data: [DONE]\n\n              {json}\n …
 *
 * The first event is awaited for a moment before the response begins, so that a request that fails at once, such as one
 * for a full queue, still gets its status. After that an error can only be an event of its own.
 *
 * Flow: events (async generator) → streamResponse → socket; the reader's leaving → generator.return().
 */
import type { RequestScope } from "../answer.ts";
import { type Failure, failureOf, openaiError } from "./errors.ts";

/** How long the status is held back for the first event. */
const FIRST_EVENT_MS = 500;
/** After one to two of these in silence a comment is sent, so that proxies do not take a long prompt for a dead connection. */
const PING_MS = 15_000;
/** Events made ahead of a slow reader. */
const EVENTS_AHEAD = 32;

export interface StreamFormat {
  readonly contentType: string;
  event(data: object): string;
  failure(failure: Failure): string;
  /** After the last event. */
  readonly end: string;
  /** What says nothing but keeps the connection alive; "" where the format has no such thing. */
  readonly ping: string;
}

export const serverSentEvents: StreamFormat = {
  contentType: "text/event-stream",
  event: (data) => `data: ${JSON.stringify(data)}\n\n`,
  failure: (failure) => `data: ${JSON.stringify(openaiError(failure))}\n\n`,
  end: "data: [DONE]\n\n",
  ping: ": ping\n\n",
};

export const jsonLines: StreamFormat = {
  contentType: "application/x-ndjson",
  event: (data) => `${JSON.stringify(data)}\n`,
  failure: ({ message }) => `${JSON.stringify({ error: message })}\n`,
  end: "",
  ping: "",
};

export interface StreamOptions {
  readonly format: StreamFormat;
  /** The work whose events are written. It ends with the stream, and the stream with it. */
  readonly scope: RequestScope;
  /** Told of an error that could not become a status any more. */
  readonly onFailure: (error: unknown) => void;
}

/** @throws what the generator throws before its first event, if it does so at once. */
export async function streamResponse(
  events: AsyncGenerator<object, void>,
  { format, scope, onFailure }: StreamOptions,
): Promise<Response> {
  const encoder = new TextEncoder();
  let pending: Promise<IteratorResult<object, void>> | undefined = events.next();
  try {
    await waitAtMost(pending, FIRST_EVENT_MS);
  } catch (error) {
    scope.end();
    throw error;
  }

  let isSilent = false;
  let pinging: ReturnType<typeof setInterval> | undefined;
  let stop = () => {};
  const end = () => {
    clearInterval(pinging);
    scope.signal.removeEventListener("abort", stop);
    scope.end();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // A reader that does not read would keep its answer waiting for ever.
        stop = () => {
          if (pending) return;
          end();
          void events.return();
          controller.error(scope.signal.reason);
        };
        scope.signal.addEventListener("abort", stop);
        if (format.ping === "") return;
        pinging = setInterval(() => {
          if (isSilent) controller.enqueue(encoder.encode(format.ping));
          isSilent = true;
        }, PING_MS);
      },
      async pull(controller) {
        try {
          pending ??= events.next();
          const { done, value } = await pending;
          pending = undefined;
          isSilent = false;
          if (!done) {
            controller.enqueue(encoder.encode(format.event(value)));
            return;
          }
          if (format.end !== "") controller.enqueue(encoder.encode(format.end));
        } catch (error) {
          onFailure(error);
          controller.enqueue(encoder.encode(format.failure(failureOf(error))));
        }
        end();
        controller.close();
      },
      async cancel() {
        const last = pending;
        end();
        scope.abort();
        // The event that is being made must end first; its error, being aborted, is nobody's concern.
        await last?.catch(() => {});
        await events.return().catch(() => {});
      },
    },
    new CountQueuingStrategy({ highWaterMark: EVENTS_AHEAD }),
  );
  return new Response(body, {
    headers: {
      "content-type": format.contentType,
      "cache-control": "no-cache",
      // nginx would collect events otherwise.
      "x-accel-buffering": "no",
    },
  });
}

/** Waits for the promise, but no longer than this; throws what it throws meanwhile. */
async function waitAtMost(promise: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
