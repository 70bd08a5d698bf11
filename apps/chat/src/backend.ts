/** Where answers are made: on the server that gave this page, or in this browser. */
import type { Model, StoredModel } from "../../../src/browser.ts";
import { textOf } from "../../../src/server/openai/logprobs.ts";
import { ask, checked, explained } from "./api.ts";
import type { TokenView } from "./tree.ts";

export type { StoredModel };

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface Settings {
  readonly temperature: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  readonly maxTokens: number;
}

/** A piece of an answer; its tokens where they are told. */
export interface Delta {
  readonly text: string;
  readonly tokens: readonly TokenView[];
}

export interface Backend {
  readonly label: string;
  /** What the model's maker recommends. */
  readonly sampling: Partial<Settings>;
  answer(messages: readonly Message[], settings: Settings, signal: AbortSignal): AsyncGenerator<Delta>;
  /** SHA-256 of the model's files; "" for the server's, which knows it itself. */
  hash(): Promise<string>;
  dispose(): void;
}

interface LogProbability {
  readonly token: string;
  readonly logprob: number;
  readonly top_logprobs?: readonly { readonly token: string; readonly logprob: number }[];
}

interface ServedModel {
  readonly id: string;
  readonly meta?: { readonly sampling?: Readonly<Record<string, number>> };
}

interface Chunk {
  readonly error?: { readonly message: string };
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly logprobs?: { readonly content?: readonly LogProbability[] | null } | null;
  }[];
}

/**
 * The model behind `cria serve`; undefined when no server answers, "key" when it wants another key, "loading" while it
 * has no model yet.
 */
export async function connectServer(): Promise<Backend | "key" | "loading" | undefined> {
  const response = await ask("./v1/models").catch(() => undefined);
  if (response?.status === 401) return "key";
  if (response?.status === 503 && response.headers.has("retry-after")) return "loading";
  if (!response?.ok) return undefined;
  const list = (await response.json().catch(() => ({}))) as { data?: readonly ServedModel[] };
  const served = list.data?.[0];
  if (served === undefined) return undefined;
  const model = served.id;
  return {
    label: model,
    sampling: settingsOf(served),
    async *answer(messages, { temperature, topP, minP, repeatPenalty, maxTokens }, signal) {
      const json = {
        ...{ model, messages, temperature, top_p: topP, min_p: minP, repeat_penalty: repeatPenalty },
        ...{ max_tokens: maxTokens, stream: true, logprobs: true, top_logprobs: 5 },
      };
      const { body } = await checked(await ask("./v1/chat/completions", { json, signal }));
      if (!body) throw new Error("the server answered nothing");
      for await (const chunk of events(body)) {
        if (chunk.error) throw new Error(chunk.error.message);
        const choice = chunk.choices?.[0];
        const tokens = (choice?.logprobs?.content ?? []).map(viewOf);
        const text = choice?.delta?.content ?? "";
        if (text !== "" || tokens.length > 0) yield { text, tokens };
      }
    },
    hash: async () => "",
    dispose() {},
  };
}

function settingsOf({ meta }: ServedModel): Partial<Settings> {
  const { temperature, top_p: topP, min_p: minP, repeat_penalty: repeatPenalty } = meta?.sampling ?? {};
  return Object.fromEntries(
    Object.entries({ temperature, topP, minP, repeatPenalty }).filter(([, value]) => value !== undefined),
  );
}

function viewOf({ token, logprob, top_logprobs: top = [] }: LogProbability): TokenView {
  return {
    text: token,
    probability: Math.exp(logprob),
    alternatives: top.map((one) => ({ text: one.token, probability: Math.exp(one.logprob) })),
  };
}

/** The events of a stream of server-sent events. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<Chunk> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(explained);
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const data = line.startsWith("data: ") ? line.slice(6) : "";
      if (data === "[DONE]") return;
      if (data !== "") yield JSON.parse(data) as Chunk;
    }
  }
}

export interface LoadReport {
  readonly onProgress: (share: number) => void;
  readonly onNotice: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Loads a model into this page: an address, a file, or "" for the one that comes with Cria. */
export async function loadInBrowser(source: string | File, report: LoadReport): Promise<Backend> {
  const { load } = await engine();
  const model = await withinPolicy(report.signal, async (signal): Promise<Model> => {
    return load(source === "" ? await embeddedModel(signal) : source, {
      signal,
      onNotice: report.onNotice,
      onDownload: ({ receivedBytes, totalBytes }) => report.onProgress(receivedBytes / totalBytes),
      onProgress: ({ loadedBytes, totalBytes }) => report.onProgress(loadedBytes / totalBytes),
    });
  });
  return {
    label: `${model.name} (this browser)`,
    sampling: model.sampling as Partial<Settings>,
    async *answer(messages, settings, signal) {
      const generation = model.chat(messages, { ...settings, signal, logProbabilities: 5 });
      for await (const { text, id, logProbability, alternatives = [] } of generation.tokens()) {
        const views = alternatives.map((one) => ({
          text: textOf(model.tokenizer, one.id),
          probability: Math.exp(one.logProbability),
        }));
        // Text that was held back to the end comes without a token of its own.
        const scored = logProbability === undefined ? [] : [Math.exp(logProbability)];
        yield {
          text,
          tokens: scored.map((probability) => ({
            ...{ text: textOf(model.tokenizer, id), probability, alternatives: views },
          })),
        };
      }
    },
    hash: () => model.hash(),
    dispose: () => model.dispose(),
  };
}

/**
 * Runs something that may ask for an address which the page's content security policy forbids. The request fails as if
 * there were no network, and only an event says why; without it the same would be tried again for nothing.
 */
async function withinPolicy<Result>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const refused = new AbortController();
  const onViolation = ({ effectiveDirective, blockedURI }: SecurityPolicyViolationEvent): void => {
    if (effectiveDirective !== "connect-src") return;
    const host = URL.canParse(blockedURI) ? new URL(blockedURI).host : blockedURI;
    refused.abort(
      new Error(
        `A page of this server may load models from the server itself and from Hugging Face only, not from ${host}. ` +
          "Download the file and choose it here, or put the page on a static host: there it has no such rule.",
      ),
    );
  };
  document.addEventListener("securitypolicyviolation", onViolation);
  try {
    return await work(AbortSignal.any([signal, refused.signal]));
  } catch (error) {
    throw refused.signal.aborted ? refused.signal.reason : error;
  } finally {
    document.removeEventListener("securitypolicyviolation", onViolation);
  }
}

/** Models that this browser has, whole or in part. */
export async function listStored(): Promise<StoredModel[]> {
  return (await engine()).listModels();
}

export async function removeStored(url: string): Promise<void> {
  await (await engine()).deleteModel(url);
}

/** Loaded when it is first needed: who chats with a server never does. */
function engine(): Promise<typeof import("../../../src/browser.ts")> {
  return import("cria" as string);
}

async function embeddedModel(signal: AbortSignal): Promise<Blob> {
  const response = await fetch("./models/default.gguf", { signal });
  if (!response.ok) throw new Error("this page comes without a model; give the address of one, or a file");
  return response.blob();
}
