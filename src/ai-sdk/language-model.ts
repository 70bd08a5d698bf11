/**
 * A loaded model as the AI SDK's language model: no server, no network.
 *
 * Flow: generateText, streamText … → doGenerate, doStream → sdk/tool-answer.ts → Model.
 * Source: @ai-sdk/provider 4, LanguageModelV4.
 */
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4Warning,
} from "@ai-sdk/provider";
import type { Model } from "../generate/model.ts";
import { type AnswerEnd, toolAnswer } from "../sdk/tool-answer.ts";
import { CriaError } from "../shared/errors.ts";
import { randomId } from "../shared/random-id.ts";
import { abortErrorOf } from "./abort.ts";
import { constraintOf } from "./constraint.ts";
import { functionsOf, generateOptionsOf, messagesOf } from "./prompt.ts";

export function criaLanguageModel(model: Model, modelId: string): LanguageModelV4 {
  return {
    specificationVersion: "v4",
    provider: "cria",
    modelId,
    supportedUrls: {},
    doGenerate: (options) => collect(parts(model, modelId, options), options.abortSignal),
    doStream: async (options) => ({ stream: streamOf(model, modelId, options) }),
  };
}

async function* parts(
  model: Model,
  modelId: string,
  options: LanguageModelV4CallOptions,
): AsyncGenerator<LanguageModelV4StreamPart, void> {
  const warnings: SharedV4Warning[] = [];
  const { reasoning = "provider-default" } = options;
  if (reasoning !== "provider-default" && reasoning !== "none")
    warnings.push({ type: "unsupported", feature: "reasoning", details: "the models answer at once" });
  const offered = functionsOf(options.tools, warnings);
  const functions = options.toolChoice?.type === "none" ? [] : offered;
  const constraint = constraintOf(model, functions, options);
  yield { type: "stream-start", warnings };
  yield { type: "response-metadata", modelId, timestamp: new Date() };
  const steps = toolAnswer(model, {
    messages: messagesOf(options.prompt),
    functions,
    options: generateOptionsOf(options),
    ...(constraint ? { constraint } : {}),
  });
  const blocks = new Blocks();
  let end: AnswerEnd | undefined;
  try {
    while (!end) {
      const { done, value } = await steps.next();
      if (done) {
        end = value;
        break;
      }
      yield* blocks.text(value.content);
      for (const { index, name, argumentsText } of value.calls)
        yield* blocks.call(index, name, argumentsText);
    }
  } finally {
    if (!end) await steps.return(undefined as never);
  }
  yield* blocks.close();
  yield { type: "finish", finishReason: finishReasonOf(end), usage: usageOf(end) };
}

/** Opens and closes blocks of text and of calls. */
class Blocks {
  #textId = "";
  #textCount = 0;
  #callIndex = -1;
  #call: { id: string; name: string; input: string } | undefined;

  *text(delta: string): Generator<LanguageModelV4StreamPart> {
    if (delta === "") return;
    if (this.#textId === "") {
      yield* this.close();
      this.#textId = `text-${this.#textCount++}`;
      yield { type: "text-start", id: this.#textId };
    }
    yield { type: "text-delta", id: this.#textId, delta };
  }

  *call(index: number, name: string | undefined, delta: string): Generator<LanguageModelV4StreamPart> {
    if (index !== this.#callIndex && name !== undefined) {
      yield* this.close();
      this.#callIndex = index;
      this.#call = { id: `call_${randomId()}`, name, input: "" };
      yield { type: "tool-input-start", id: this.#call.id, toolName: name };
    }
    if (!this.#call || delta === "") return;
    this.#call.input += delta;
    yield { type: "tool-input-delta", id: this.#call.id, delta };
  }

  *close(): Generator<LanguageModelV4StreamPart> {
    if (this.#textId !== "") yield { type: "text-end", id: this.#textId };
    this.#textId = "";
    if (!this.#call) return;
    const { id, name, input } = this.#call;
    yield { type: "tool-input-end", id };
    // A call that the token limit cut is none.
    if (isJson(input)) yield { type: "tool-call", toolCallId: id, toolName: name, input };
    this.#call = undefined;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function finishReasonOf({ called, result }: AnswerEnd): LanguageModelV4FinishReason {
  return { unified: called ? "tool-calls" : result.finishReason, raw: result.finishReason };
}

function usageOf({ result }: AnswerEnd): LanguageModelV4Usage {
  const { cache_n: cached, predicted_n: predicted } = result.timings;
  const total = result.promptIds.length;
  return {
    inputTokens: { total, noCache: total - cached, cacheRead: cached, cacheWrite: undefined },
    outputTokens: { total: predicted, text: predicted, reasoning: undefined },
  };
}

async function collect(
  source: AsyncGenerator<LanguageModelV4StreamPart>,
  signal: AbortSignal | undefined,
): Promise<LanguageModelV4GenerateResult> {
  const content: LanguageModelV4Content[] = [];
  let text = "";
  let warnings: SharedV4Warning[] = [];
  let response: LanguageModelV4GenerateResult["response"] = {};
  try {
    for await (const part of source) {
      if (part.type === "stream-start") warnings = part.warnings;
      else if (part.type === "response-metadata") response = { ...part };
      else if (part.type === "text-delta") text += part.delta;
      else if (part.type === "text-end") {
        content.push({ type: "text", text });
        text = "";
      } else if (part.type === "tool-call") content.push(part);
      else if (part.type === "finish")
        return { content, finishReason: part.finishReason, usage: part.usage, warnings, response };
    }
  } catch (error) {
    throw abortErrorOf(error, signal);
  }
  throw new CriaError("bad-answer", "the answer ended without saying how");
}

function streamOf(
  model: Model,
  modelId: string,
  options: LanguageModelV4CallOptions,
): ReadableStream<LanguageModelV4StreamPart> {
  const controller = new AbortController();
  const { abortSignal } = options;
  const signal = abortSignal ? AbortSignal.any([abortSignal, controller.signal]) : controller.signal;
  const source = parts(model, modelId, { ...options, abortSignal: signal });
  return new ReadableStream({
    // Not when it is asked for: the AI SDK leaves its own branch of a stream unread where an app stops reading, and an
    // answer that waits for that would hold the model for ever. This way it comes to its end; an abort ends it at once.
    async start(stream) {
      try {
        for await (const part of source) stream.enqueue(part);
        stream.close();
      } catch (error) {
        // Nobody hears of it after a cancel.
        if (controller.signal.aborted) return;
        const reason = abortErrorOf(error, abortSignal);
        if (abortSignal?.aborted) return stream.error(reason);
        // A part, not a broken stream: this is what apps are told of and what goes on to a page.
        stream.enqueue({ type: "error", error: reason });
        stream.close();
      }
    },
    cancel: () => controller.abort(),
  });
}
