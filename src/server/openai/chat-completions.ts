/**
 * POST /v1/chat/completions: an answer in a conversation, whole or as server-sent events.
 *
 *   chunks of a choice: role, then content or tool calls, then finish_reason; usage comes last, where asked for
 *
 * Flow: ChatRequest → conversation.ts (prompt) → chatPieces, once for each choice → chunks → SSE, or one object.
 */
import type { Timings } from "../../generate/generate.ts";
import { renderConversation } from "../../generate/tools/render-conversation.ts";
import { randomId } from "../../shared/random-id.ts";
import { requestScope, within } from "../answer.ts";
import { type ChatEnd, type ChatPiece, chatPieces } from "../chat.ts";
import type { ServerContext } from "../context.ts";
import { conversationOf } from "../conversation.ts";
import { RequestError } from "../http/errors.ts";
import { serverSentEvents, streamResponse } from "../http/stream.ts";
import { mapped } from "../mapped.ts";
import { merge } from "../merge.ts";
import { toolPlan } from "../tool-plan.ts";
import { samplingOf } from "./fields.ts";
import { type ChatLogprob, chatLogprob, type ScoredToken } from "./logprobs.ts";
import type { ChatRequest } from "./requests.ts";
import { addUsage, identify, type Usage, usageOf } from "./usage.ts";

type Event =
  | { readonly index: number; readonly piece: ChatPiece }
  | { readonly index: number; readonly end: ChatEnd };

interface ToolCallJson {
  readonly id: string;
  readonly type: "function";
  readonly function: { name: string; arguments: string };
}

export async function chatCompletions(
  context: ServerContext,
  request: Request,
  body: ChatRequest,
): Promise<Response> {
  const model = context.modelFor(body.model);
  if (body.top_logprobs !== undefined && !body.logprobs)
    throw new RequestError(400, "top_logprobs: needs logprobs: true", { param: "top_logprobs" });
  const tools = toolPlan(model, body);
  const prompt = renderConversation(model, conversationOf(body));
  const scope = requestScope(context, request);
  const maxTokens = body.max_completion_tokens ?? body.max_tokens;
  const { n = 1 } = body;

  const choice = (index: number) =>
    async function* (): AsyncGenerator<Event, void> {
      const pieces = chatPieces(context, {
        model,
        prompt,
        options: {
          ...samplingOf(maxTokens === undefined ? body : { ...body, max_tokens: maxTokens }, index),
          ...(body.logprobs ? { logProbabilities: body.top_logprobs ?? 0 } : {}),
          signal: scope.signal,
        },
        toolNames: tools.names,
        ...(tools.constraint ? { constraint: tools.constraint } : {}),
        oneCall: body.parallel_tool_calls === false,
      });
      const end = yield* mapped(pieces, (piece): Event => ({ index, piece }));
      yield { index, end };
    };
  const events = merge(
    Array.from({ length: n }, (_, index) => choice(index)),
    context.parallel,
    scope.abort,
  );
  const head = { ...identify(context, "chatcmpl-"), model: body.model ?? context.name() };
  const scored = (piece: ChatPiece) =>
    piece.tokens.map((token) => chatLogprob(model.tokenizer, token as ScoredToken));

  if (!body.stream)
    return Response.json(await within(scope, collect(events, head, n, body.logprobs === true, scored)));
  return streamResponse(chunks(events, { ...head, object: "chat.completion.chunk" }, body, scored), {
    format: serverSentEvents,
    scope,
    onFailure: (error) => context.report(error),
  });
}

type Scored = (piece: ChatPiece) => ChatLogprob[];

async function* chunks(
  events: AsyncGenerator<Event, void>,
  head: object,
  body: ChatRequest,
  scored: Scored,
): AsyncGenerator<object, void> {
  const begun = new Set<number>();
  let usage: Usage | undefined;
  const includeUsage = body.stream_options?.include_usage === true;
  const chunk = (choices: readonly object[], more: object = {}) => ({
    ...head,
    choices,
    // OpenAI's API has a null in all chunks but the last.
    ...(includeUsage ? { usage: null } : {}),
    ...more,
  });
  for await (const event of events) {
    const { index } = event;
    if (!begun.has(index)) {
      begun.add(index);
      yield chunk([choiceOf(index, { role: "assistant", content: "" })]);
    }
    if ("end" in event) {
      const { finishReason, result } = event.end;
      usage = addUsage(usage, usageOf(result));
      yield chunk([choiceOf(index, {}, null, finishReason)], { timings: result.timings });
      continue;
    }
    const { content, calls } = event.piece;
    const logprobs = body.logprobs ? { content: scored(event.piece) } : null;
    if (content !== "" || calls.length === 0) yield chunk([choiceOf(index, { content }, logprobs)]);
    for (const call of calls) {
      const begin = call.name === undefined ? {} : { id: callId(), type: "function" };
      const named = call.name === undefined ? {} : { name: call.name };
      const delta = { index: call.index, ...begin, function: { ...named, arguments: call.argumentsText } };
      yield chunk([choiceOf(index, { tool_calls: [delta] }, content === "" ? logprobs : null)]);
    }
  }
  if (includeUsage) yield chunk([], { usage });
}

function choiceOf(
  index: number,
  delta: object,
  logprobs: { content: readonly ChatLogprob[] } | null = null,
  finishReason: string | null = null,
): object {
  return { index, delta, logprobs, finish_reason: finishReason };
}

async function collect(
  events: AsyncGenerator<Event, void>,
  head: object,
  n: number,
  wantsLogprobs: boolean,
  scored: Scored,
): Promise<object> {
  const choices = Array.from({ length: n }, () => ({
    content: "",
    calls: [] as ToolCallJson[],
    logprobs: [] as ChatLogprob[],
    finishReason: "stop",
  }));
  let usage: Usage | undefined;
  let timings: Timings | undefined;
  for await (const event of events) {
    const choice = choices[event.index];
    if ("end" in event) {
      choice.finishReason = event.end.finishReason;
      timings = event.end.result.timings;
      usage = addUsage(usage, usageOf(event.end.result));
      continue;
    }
    choice.content += event.piece.content;
    for (const { index, name, argumentsText } of event.piece.calls) {
      if (name !== undefined)
        choice.calls[index] = { id: callId(), type: "function", function: { name, arguments: "" } };
      choice.calls[index].function.arguments += argumentsText;
    }
    if (wantsLogprobs) choice.logprobs.push(...scored(event.piece));
  }
  return {
    ...head,
    object: "chat.completion",
    choices: choices.map(({ content, calls, logprobs, finishReason }, index) => ({
      index,
      message: {
        role: "assistant",
        content: calls.length > 0 && content.trim() === "" ? null : content,
        refusal: null,
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
      },
      logprobs: wantsLogprobs ? { content: logprobs, refusal: null } : null,
      finish_reason: finishReason,
    })),
    usage,
    timings,
  };
}

function callId(): string {
  return `call_${randomId().slice(0, 24)}`;
}
