/**
 * POST /v1/completions: continues texts, or lists of token ids, whole or as server-sent events.
 *
 * A request holds one prompt or a batch; choice `i · n + j` is the j-th answer to prompt i. With `echo` the answer
 * begins with its prompt, and with `logprobs` the prompt's tokens are scored too, which is how evaluation harnesses
 * measure a text.
 *
 * Flow: CompletionRequest → prompts → answer.ts, once for each choice → chunks → SSE, or one object.
 */
import type { GeneratedToken, GenerationResult, PromptText } from "../../generate/generate.ts";
import type { Model } from "../../generate/model.ts";
import { answer, checkLength, requestScope, within } from "../answer.ts";
import type { ServerContext } from "../context.ts";
import { RequestError } from "../http/errors.ts";
import { serverSentEvents, streamResponse } from "../http/stream.ts";
import { merge } from "../merge.ts";
import { constraintOf } from "../structure.ts";
import { MOST_CHOICES, samplingOf } from "./fields.ts";
import { type CompletionLogprobs, completionLogprobs, type ScoredToken } from "./logprobs.ts";
import type { CompletionRequest } from "./requests.ts";
import { addPrompt, addUsage, identify, type Usage, usageOf } from "./usage.ts";

/** OpenAI's default for this API. */
const DEFAULT_MAX_TOKENS = 16;

type Event =
  | { readonly index: number; readonly tokens: readonly GeneratedToken[]; readonly text: string }
  | { readonly index: number; readonly end: GenerationResult };

interface Job {
  readonly model: Model;
  readonly body: CompletionRequest;
  readonly prompts: readonly PromptText[];
  /** Answers to each prompt. */
  readonly n: number;
}

export async function completions(
  context: ServerContext,
  request: Request,
  body: CompletionRequest,
): Promise<Response> {
  const model = context.modelFor(body.model);
  const { n = 1, best_of: bestOf = n } = body;
  if (bestOf !== n)
    throw new RequestError(400, "best_of: this server does not choose among answers; leave it out", {
      param: "best_of",
    });
  const prompts = promptsOf(model, body.prompt);
  if (prompts.length * n > MOST_CHOICES)
    throw new RequestError(400, `prompt: at most ${MOST_CHOICES} answers to one request are made`, {
      param: "prompt",
    });
  for (const { ids } of prompts) checkLength(model, ids.length);
  const constraint = constraintOf(model, body);
  const scope = requestScope(context, request);
  const scoresPrompt = body.echo === true && body.logprobs !== undefined;

  const choice = (index: number) =>
    async function* (): AsyncGenerator<Event, void> {
      const options = {
        maxTokens: DEFAULT_MAX_TOKENS,
        ...samplingOf(body, index % n),
        ...(body.logprobs === undefined ? {} : { logProbabilities: body.logprobs }),
        ...(scoresPrompt ? { promptLogProbabilities: true, promptAlternatives: body.logprobs } : {}),
        ...(constraint ? { constraint } : {}),
        signal: scope.signal,
      };
      const tokens = answer(context, model, prompts[Math.floor(index / n)], options);
      try {
        for (;;) {
          const { done, value } = await tokens.next();
          if (done) {
            yield { index, end: value };
            return;
          }
          const scored = value.logProbability === undefined ? [] : [value];
          if (value.text !== "" || scored.length > 0) yield { index, tokens: scored, text: value.text };
        }
      } finally {
        await tokens.return(undefined as never);
      }
    };
  const count = prompts.length * n;
  const events = merge(
    Array.from({ length: count }, (_, index) => choice(index)),
    context.parallel,
    scope.abort,
  );
  const job: Job = { model, body, prompts, n };
  const head = {
    ...identify(context, "cmpl-"),
    object: "text_completion",
    model: body.model ?? context.name(),
  };
  if (!body.stream) return Response.json(await within(scope, collect(events, head, job)));
  return streamResponse(chunks(events, head, job), {
    format: serverSentEvents,
    scope,
    onFailure: (error) => context.report(error),
  });
}

function promptsOf(model: Model, prompt: CompletionRequest["prompt"]): PromptText[] {
  const isBatch = typeof prompt === "object" && typeof prompt[0] !== "number";
  const list = (isBatch ? prompt : [prompt]) as readonly (string | readonly number[])[];
  return list.map((item, index) => {
    const made = model.promptOf(item);
    if (made.ids.length === 0)
      throw new RequestError(400, `prompt${isBatch ? `[${index}]` : ""}: expected at least one token`, {
        param: "prompt",
      });
    for (const id of made.ids)
      if (id >= model.config.vocabularySize)
        throw new RequestError(
          400,
          `prompt: token ${id} is outside the vocabulary of ${model.config.vocabularySize}`,
          { param: "prompt" },
        );
    return made;
  });
}

/** The prompt as it was written; of token ids, their text. */
function promptText({ model, body, prompts, n }: Job, index: number): string {
  const at = Math.floor(index / n);
  const given = typeof body.prompt === "string" ? body.prompt : body.prompt[at];
  return typeof given === "string" ? given : model.tokenizer.decode(prompts[at].ids);
}

async function* chunks(
  events: AsyncGenerator<Event, void>,
  head: object,
  job: Job,
): AsyncGenerator<object, void> {
  const { body } = job;
  const includeUsage = body.stream_options?.include_usage === true;
  const chunk = (
    index: number,
    text: string,
    logprobs: CompletionLogprobs | null,
    reason: string | null,
  ) => ({
    ...head,
    choices: [{ index, text, logprobs, finish_reason: reason }],
    ...(includeUsage ? { usage: null } : {}),
  });
  const lengths = new Map<number, number>();
  const usages = new Usages(job.n);
  // The prompt's scores come with the result only, so with them an echo cannot begin before the end.
  const held = new Map<number, Choice>();
  const scoresPrompt = body.echo === true && body.logprobs !== undefined;
  for await (const event of events) {
    const { index } = event;
    if (!lengths.has(index)) {
      const echo = body.echo === true ? promptText(job, index) : "";
      lengths.set(index, echo.length);
      if (scoresPrompt) held.set(index, newChoice());
      else if (echo !== "") yield chunk(index, echo, null, null);
    }
    const offset = lengths.get(index) ?? 0;
    const waiting = held.get(index);
    if ("end" in event) {
      usages.add(index, event.end);
      if (waiting) {
        const { text, logprobs } = finished(job, index, waiting, event.end);
        yield chunk(index, text, logprobs, null);
      }
      yield { ...chunk(index, "", null, event.end.finishReason), timings: event.end.timings };
    } else if (waiting) {
      waiting.text += event.text;
      waiting.tokens.push(...event.tokens);
    } else {
      const scored = event.tokens as readonly ScoredToken[];
      const logprobs =
        body.logprobs === undefined
          ? null
          : completionLogprobs(job.model.tokenizer, scored, body.logprobs, offset);
      lengths.set(index, offset + (logprobs?.tokens.join("").length ?? event.text.length));
      yield chunk(index, event.text, logprobs, null);
    }
  }
  if (includeUsage) yield { ...head, choices: [], usage: usages.sum() };
}

interface Choice {
  text: string;
  readonly tokens: GeneratedToken[];
}

function newChoice(): Choice {
  return { text: "", tokens: [] };
}

async function collect(events: AsyncGenerator<Event, void>, head: object, job: Job): Promise<object> {
  const choices = Array.from({ length: job.prompts.length * job.n }, newChoice);
  const results: GenerationResult[] = [];
  const usages = new Usages(job.n);
  for await (const event of events) {
    if ("end" in event) {
      results[event.index] = event.end;
      usages.add(event.index, event.end);
      continue;
    }
    choices[event.index].text += event.text;
    choices[event.index].tokens.push(...event.tokens);
  }
  return {
    ...head,
    choices: choices.map((choice, index) => ({
      index,
      ...finished(job, index, choice, results[index]),
      finish_reason: results[index].finishReason,
    })),
    usage: usages.sum(),
    timings: results[0]?.timings,
  };
}

/** A whole choice: echo, text and scores. */
function finished(
  job: Job,
  index: number,
  choice: Choice,
  { promptIds, promptLogProbabilities, promptAlternatives }: GenerationResult,
): { text: string; logprobs: CompletionLogprobs | null } {
  const { body, model } = job;
  const echo = body.echo === true ? promptText(job, index) : "";
  if (body.logprobs === undefined) return { text: echo + choice.text, logprobs: null };
  const prompt: ScoredToken[] = promptLogProbabilities
    ? promptIds.map((id, at) => ({
        id,
        logProbability: promptLogProbabilities[at],
        alternatives: promptAlternatives?.[at] ?? [],
      }))
    : [];
  const scored = [...prompt, ...(choice.tokens as ScoredToken[])];
  return {
    text: echo + choice.text,
    logprobs: completionLogprobs(model.tokenizer, scored, body.logprobs, prompt.length > 0 ? 0 : echo.length),
  };
}

/** The usage of a batch: each prompt counts once, however many answers it gets. */
class Usages {
  readonly #byPrompt = new Map<number, Usage>();
  readonly #n: number;

  constructor(n: number) {
    this.#n = n;
  }

  add(index: number, result: GenerationResult): void {
    const at = Math.floor(index / this.#n);
    this.#byPrompt.set(at, addUsage(this.#byPrompt.get(at), usageOf(result)));
  }

  sum(): Usage | undefined {
    return [...this.#byPrompt.values()].reduce<Usage | undefined>(addPrompt, undefined);
  }
}
