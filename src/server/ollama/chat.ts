/**
 * POST /api/chat and /api/generate of Ollama's API: lines of JSON, or one object with `stream: false`.
 *
 *   {"message": {"role": "assistant", "content": "…"}, "done": false} … {"done": true, "done_reason": "stop", …}
 *
 * Times are in nanoseconds, and arguments of tool calls are objects, so a call is sent when it is whole.
 *
 * Flow: OllamaChatRequest or OllamaGenerateRequest → prompt → chatPieces → lines.
 */
import type { ChatMessage } from "../../generate/chat-format/messages.ts";
import type { GenerationResult, PromptText } from "../../generate/generate.ts";
import type { Model } from "../../generate/model.ts";
import { renderConversation } from "../../generate/tools/render-conversation.ts";
import type { ToolDefinition } from "../../generate/tools/tool-definition.ts";
import { requestScope, within } from "../answer.ts";
import { type ChatEnd, type ChatPiece, chatPieces } from "../chat.ts";
import type { ServerContext } from "../context.ts";
import { jsonLines, streamResponse } from "../http/stream.ts";
import { mapped } from "../mapped.ts";
import { type ChatLogprob, chatLogprob, type ScoredToken } from "../openai/logprobs.ts";
import { toolPlan } from "../tool-plan.ts";
import {
  type OllamaChatRequest,
  type OllamaGenerateRequest,
  type OllamaMessage,
  ollamaSampling,
} from "./requests.ts";

interface ToolCallJson {
  readonly function: { readonly name: string; readonly arguments: unknown };
}

/** What one line adds to the answer. */
interface Line {
  readonly content: string;
  readonly calls: readonly ToolCallJson[];
  readonly logprobs?: readonly ChatLogprob[];
}

/** How the two requests write a line. */
interface Shape {
  readonly line: (line: Line) => object;
  /** Further fields of the last line. */
  readonly last?: (result: GenerationResult) => object;
}

export async function ollamaChat(
  context: ServerContext,
  request: Request,
  body: OllamaChatRequest,
): Promise<Response> {
  const model = context.modelFor(body.model);
  const { messages = [], tools = [] } = body;
  const shape: Shape = {
    line: ({ content, calls, logprobs }) => ({
      message: { role: "assistant", content, ...(calls.length > 0 ? { tool_calls: calls } : {}) },
      ...(logprobs ? { logprobs } : {}),
    }),
  };
  if (messages.length === 0) return emptyAnswer(body, shape);
  const prompt = renderConversation(model, { messages: messages.map(messageOf), tools });
  return respond(context, request, body, { model, prompt, shape, tools });
}

export async function ollamaGenerate(
  context: ServerContext,
  request: Request,
  body: OllamaGenerateRequest,
): Promise<Response> {
  const model = context.modelFor(body.model);
  const { prompt: text = "" } = body;
  const shape: Shape = {
    line: ({ content, logprobs }) => ({ response: content, ...(logprobs ? { logprobs } : {}) }),
    last: ({ promptIds, ids }) => ({ context: [...promptIds, ...ids] }),
  };
  if (text === "") return emptyAnswer(body, shape);
  const prompt = generatePrompt(model, body, text);
  return respond(context, request, body, { model, prompt, shape, tools: [] });
}

/** A chat with one message where the model has a chat template and `raw` does not forbid it. */
function generatePrompt(model: Model, body: OllamaGenerateRequest, text: string): PromptText {
  const plain = body.raw === true || !hasChatFormat(model);
  const earlier = body.context ?? [];
  const prompt = plain
    ? model.promptOf(body.system === undefined ? text : `${body.system}\n\n${text}`)
    : renderConversation(model, {
        messages: [
          ...(body.system === undefined ? [] : [{ role: "system", content: body.system } as const]),
          { role: "user", content: text },
        ],
        tools: [],
      });
  if (earlier.length === 0) return prompt;
  const { bos } = model.tokenizer.special;
  const ids = prompt.ids[0] === bos ? prompt.ids.slice(1) : prompt.ids;
  return { ...prompt, ids: [...earlier, ...ids] };
}

function hasChatFormat(model: Model): boolean {
  try {
    return model.chatFormat !== undefined;
  } catch {
    return false;
  }
}

function messageOf({ role, content = "", tool_name: name, tool_calls: calls }: OllamaMessage): ChatMessage {
  return {
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(calls && calls.length > 0
      ? { toolCalls: calls.map((call) => ({ name: call.function.name, arguments: call.function.arguments })) }
      : {}),
  };
}

interface Job {
  readonly model: Model;
  readonly prompt: PromptText;
  readonly shape: Shape;
  readonly tools: readonly ToolDefinition[];
}

async function respond(
  context: ServerContext,
  request: Request,
  body: OllamaChatRequest | OllamaGenerateRequest,
  { model, prompt, shape, tools }: Job,
): Promise<Response> {
  const { format } = body;
  const plan = toolPlan(model, {
    tools,
    ...(format === undefined || format === ""
      ? {}
      : {
          response_format:
            format === "json" ? { type: "json_object" } : { type: "json_schema", schema: format },
        }),
  });
  const scope = requestScope(context, request);
  const started = performance.now();
  const pieces = chatPieces(context, {
    model,
    prompt,
    options: { ...ollamaSampling(body, model.sampling), signal: scope.signal },
    toolNames: plan.names,
    ...(plan.constraint ? { constraint: plan.constraint } : {}),
  });
  const wantsLogprobs = body.logprobs === true;
  const lines = answerLines(pieces, model, wantsLogprobs);
  /** The line as JSON; the last one says how the answer ended. */
  const json = (line: Line, end: ChatEnd | undefined): object => ({
    ...head(body.model),
    ...shape.line(line),
    done: end !== undefined,
    ...(end
      ? {
          done_reason: end.finishReason === "length" ? "length" : "stop",
          ...statistics(end.result, started),
          ...shape.last?.(end.result),
        }
      : {}),
  });
  if (body.stream !== false)
    return streamResponse(
      mapped(lines, ({ line, end }) => json(line, end)),
      {
        format: jsonLines,
        scope,
        onFailure: (error) => context.report(error),
      },
    );
  return Response.json(await within(scope, collect(lines, wantsLogprobs, json)));
}

/** All lines as one. */
async function collect(
  lines: AsyncGenerator<LastableLine, void>,
  wantsLogprobs: boolean,
  json: (line: Line, end: ChatEnd | undefined) => object,
): Promise<object> {
  let content = "";
  let last: ChatEnd | undefined;
  const calls: ToolCallJson[] = [];
  const logprobs: ChatLogprob[] = [];
  for await (const { line, end } of lines) {
    content += line.content;
    calls.push(...line.calls);
    logprobs.push(...(line.logprobs ?? []));
    last = end;
  }
  return json({ content, calls, ...(wantsLogprobs ? { logprobs } : {}) }, last);
}

interface LastableLine {
  readonly line: Line;
  /** How the answer ended; with the last line only. */
  readonly end?: ChatEnd;
}

/** The answer's lines. Calls wait until they are whole. */
async function* answerLines(
  pieces: AsyncGenerator<ChatPiece, ChatEnd>,
  model: Model,
  wantsLogprobs: boolean,
): AsyncGenerator<LastableLine, void> {
  const calls: { name: string; text: string }[] = [];
  let sent = 0;
  const whole = (count: number) =>
    calls.slice(sent, count).map(({ name, text }) => ({ function: { name, arguments: parsed(text) } }));
  try {
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) {
        yield { line: { content: "", calls: whole(calls.length) }, end: value };
        return;
      }
      for (const { index, name, argumentsText } of value.calls) {
        if (name !== undefined) calls[index] = { name, text: "" };
        calls[index].text += argumentsText;
      }
      // All but the last call are whole, because another has begun.
      const finished = whole(calls.length - 1);
      sent += finished.length;
      if (value.content === "" && finished.length === 0 && value.tokens.length === 0) continue;
      const logprobs = value.tokens.map((token) => chatLogprob(model.tokenizer, token as ScoredToken));
      yield { line: { content: value.content, calls: finished, ...(wantsLogprobs ? { logprobs } : {}) } };
    }
  } finally {
    await pieces.return(undefined as never);
  }
}

/** The arguments as an object; of an answer that was cut, what there is as text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { incomplete: text };
  }
}

function head(model: string): { model: string; created_at: string } {
  return { model, created_at: new Date().toISOString() };
}

/** Ollama's way to ask whether a model is there: nothing to answer. */
function emptyAnswer(body: { readonly model: string }, shape: Shape): Response {
  return Response.json({
    ...head(body.model),
    ...shape.line({ content: "", calls: [] }),
    done: true,
    done_reason: "load",
  });
}

function statistics({ timings }: GenerationResult, started: number): object {
  const nanoseconds = (milliseconds: number) => Math.round(milliseconds * 1e6);
  return {
    total_duration: nanoseconds(performance.now() - started),
    load_duration: 0,
    prompt_eval_count: timings.cache_n + timings.prompt_n,
    prompt_eval_duration: nanoseconds(timings.prompt_ms),
    eval_count: timings.predicted_n,
    eval_duration: nanoseconds(timings.predicted_ms),
  };
}
