/**
 * llama.cpp as an oracle: loads one GGUF file and answers the requests of protocol.ts until its input ends.
 *
 *   node bench/oracle/llama-cpp.ts model.gguf [--vocabulary-only] [--context 1024] [--lora adapter.gguf]
 *
 * The settings never change, so that answers can be compared between machines: CPU only, two threads, no flash
 * attention, keys and values cached as f16, and an empty cache at the start of every request.
 *
 * Flow: stdin (a request a line) → node-llama-cpp → stdout (a response a line). llama.cpp's log goes to stderr.
 */
import { parseArgs } from "node:util";
import {
  type ControlledEvaluateIndexOutput,
  type ControlledEvaluateInputItem,
  getLlama,
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
  type Token,
} from "node-llama-cpp";
import type {
  GreedyRequest,
  LogitsRequest,
  OracleRequest,
  OracleResponse,
  OracleResults,
  Perplexity,
  PerplexityRequest,
  TokenizeRequest,
} from "./protocol.ts";
import { readLines } from "./read-lines.ts";

const threadCount = 2;

/** The model, and a sequence unless only its vocabulary was loaded. */
interface Loaded {
  readonly model: LlamaModel;
  readonly sequence: LlamaContextSequence | undefined;
}

async function load(
  path: string,
  vocabularyOnly: boolean,
  contextSize: number,
  adapter: string | undefined,
): Promise<Loaded> {
  const llama = await getLlama({
    gpu: false,
    build: "never",
    maxThreads: threadCount,
    logLevel: LlamaLogLevel.error,
    logger: (level, message) => process.stderr.write(`llama.cpp ${level}: ${message}\n`),
  });
  const model = await llama.loadModel({ modelPath: path, vocabOnly: vocabularyOnly, gpuLayers: 0 });
  if (vocabularyOnly) return { model, sequence: undefined };
  const context = await model.createContext({
    contextSize,
    flashAttention: false,
    threads: threadCount,
    batchSize: Math.min(contextSize, 512),
    ...(adapter === undefined ? {} : { lora: adapter }),
  });
  return { model, sequence: context.getSequence() };
}

function toTokens(model: LlamaModel, ids: readonly number[]): Token[] {
  const vocabularySize = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  const outside = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (outside !== undefined) throw new Error(`expected ids below ${vocabularySize}, got ${outside}`);
  return ids as Token[];
}

function tokenize(model: LlamaModel, request: TokenizeRequest): OracleResults["tokenize"] {
  const { bos, eos, shouldPrependBosToken, shouldAppendEosToken } = model.tokens;
  const before = request.addSpecial && shouldPrependBosToken && bos !== null ? [bos] : [];
  const after = request.addSpecial && shouldAppendEosToken && eos !== null ? [eos] : [];
  return request.texts.map((text) => [...before, ...model.tokenize(text, request.parseSpecial), ...after]);
}

/** Evaluates from an empty cache; refuses what does not fit rather than letting the context shift. */
async function evaluate(
  sequence: LlamaContextSequence,
  items: ControlledEvaluateInputItem[],
): Promise<(ControlledEvaluateIndexOutput | undefined)[]> {
  if (items.length > sequence.contextSize)
    throw new Error(`${items.length} tokens do not fit in a context of ${sequence.contextSize}`);
  await sequence.clearHistory();
  return sequence.controlledEvaluate(items);
}

async function greedy(
  model: LlamaModel,
  sequence: LlamaContextSequence,
  { ids, count, ignoreEnd }: GreedyRequest,
): Promise<OracleResults["greedy"]> {
  if (ids.length + count > sequence.contextSize)
    throw new Error(`${ids.length} + ${count} tokens do not fit in a context of ${sequence.contextSize}`);
  await sequence.clearHistory();
  const answer: Token[] = [];
  if (count > 0)
    for await (const id of sequence.evaluate(toTokens(model, ids), {
      temperature: 0,
      yieldEogToken: ignoreEnd,
    })) {
      answer.push(id);
      if (answer.length === count) break;
    }
  return { ids: answer, text: model.detokenize(answer, false, toTokens(model, ids)) };
}

/**
 * For `ids[firstScored]` and those after it, −ln of the probability given the ids before. llama.cpp hands out the
 * logit of the id and of the likeliest one, and Σ exp(logit − largest). It adds that up in f32: over 49,152 logits the
 * result came out up to 2e-4 low.
 */
async function negativeLogLikelihoods(
  model: LlamaModel,
  sequence: LlamaContextSequence,
  ids: readonly number[],
  firstScored: number,
): Promise<number[]> {
  const tokens = toTokens(model, ids);
  const items = tokens.slice(0, -1).map((token, index): ControlledEvaluateInputItem => {
    const next = tokens[index + 1];
    if (next === undefined || index + 1 < firstScored) return token;
    const logits = { filter: { tokens: [next], includeSelected: true } };
    return [
      token,
      { generateNext: { token: true, logits, totalLogitWeight: true, options: { temperature: 0 } } },
    ];
  });
  const outputs = await evaluate(sequence, items);
  const likelihoods: number[] = [];
  for (let index = firstScored; index < tokens.length; index++) {
    const next = outputs[index - 1]?.next;
    const logit = next?.logits?.get(tokens[index] as Token);
    // Greedy selection, so the selected token is the likeliest.
    const largest = next?.logits?.get(next.token as Token);
    if (next?.totalLogitWeight === undefined || logit === undefined || largest === undefined)
      throw new Error(`llama.cpp gave no logits at position ${index - 1}`);
    likelihoods.push(Math.log(next.totalLogitWeight) - (logit - largest));
  }
  return likelihoods;
}

async function logits(
  model: LlamaModel,
  sequence: LlamaContextSequence,
  { ids, positions }: LogitsRequest,
): Promise<OracleResults["logits"]> {
  const wanted = new Set(positions);
  const items = toTokens(model, ids).map(
    (token, index): ControlledEvaluateInputItem =>
      wanted.has(index) ? [token, { generateNext: { logits: true, options: { temperature: 0 } } }] : token,
  );
  const outputs = await evaluate(sequence, items);
  return positions.map((position) => {
    const byToken = outputs[position]?.next.logits;
    if (!byToken) throw new Error(`expected a position below ${ids.length}, got ${position}`);
    const row = new Array<number>(byToken.size).fill(Number.NaN);
    for (const [token, logit] of byToken) row[token] = logit;
    return row;
  });
}

/**
 * Perplexity as llama.cpp's `llama-perplexity` counts it. The text is tokenized once, with the ids that the model adds
 * at its ends and control tokens as ordinary text, and cut into whole chunks of n = contextSize ids; a rest is
 * dropped. Each chunk is evaluated alone, its first id replaced by beginning-of-text if the model adds one. Of a
 * chunk, the ids n/2 + 1 … n − 1 are scored: each has at least half a chunk before it. So n − n/2 − 1 ids a chunk count.
 *
 * Source: llama.cpp, tools/perplexity/perplexity.cpp (the mode without --ppl-stride).
 */
async function perplexity(
  model: LlamaModel,
  sequence: LlamaContextSequence,
  { text, contextSize, chunkCount }: PerplexityRequest,
): Promise<Perplexity> {
  const [ids = []] = tokenize(model, {
    method: "tokenize",
    texts: [text],
    parseSpecial: false,
    addSpecial: true,
  });
  // llama-perplexity refuses shorter texts, since one chunk says little.
  if (ids.length < 2 * contextSize)
    throw new Error(`expected a text of at least ${2 * contextSize} tokens, got ${ids.length}`);
  const chunks = Math.min(chunkCount, Math.floor(ids.length / contextSize));
  const { bos, shouldPrependBosToken } = model.tokens;
  let sum = 0;
  let scoredCount = 0;
  for (let chunkIndex = 0; chunkIndex < chunks; chunkIndex++) {
    const chunk = ids.slice(chunkIndex * contextSize, (chunkIndex + 1) * contextSize);
    if (shouldPrependBosToken && bos !== null) chunk[0] = bos;
    const firstScored = Math.floor(contextSize / 2) + 1;
    for (const value of await negativeLogLikelihoods(model, sequence, chunk, firstScored)) {
      sum += value;
      scoredCount++;
    }
  }
  return { perplexity: Math.exp(sum / scoredCount), chunkCount: chunks, scoredCount };
}

async function answer({ model, sequence }: Loaded, request: OracleRequest): Promise<unknown> {
  if (request.method === "tokenize") return tokenize(model, request);
  if (request.method === "detokenize")
    return request.ids.map((ids) => model.detokenize(toTokens(model, ids), request.showSpecial));
  if (!sequence) throw new Error(`${request.method} needs the weights, but only the vocabulary was loaded`);
  switch (request.method) {
    case "greedy":
      return greedy(model, sequence, request);
    case "likelihood":
      return negativeLogLikelihoods(model, sequence, request.ids, 1);
    case "logits":
      return logits(model, sequence, request);
    case "perplexity":
      return perplexity(model, sequence, request);
    default:
      throw new Error(`expected a known method, got ${JSON.stringify(request satisfies never)}`);
  }
}

async function respond(work: () => Promise<unknown>): Promise<boolean> {
  let response: OracleResponse;
  try {
    response = { result: await work() };
  } catch (error) {
    response = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(response)}\n`);
  return "result" in response;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "vocabulary-only": { type: "boolean", default: false },
    context: { type: "string", default: "1024" },
    lora: { type: "string" },
  },
});
let loaded: Loaded | undefined;
const ready = await respond(async () => {
  const path = positionals[0];
  if (path === undefined) throw new Error("expected the path of a GGUF file");
  loaded = await load(path, values["vocabulary-only"], Number(values.context), values.lora);
  return "ready";
});
if (!ready || !loaded) process.exit(1);
for await (const line of readLines(process.stdin))
  await respond(() => answer(loaded as Loaded, JSON.parse(line) as OracleRequest));
process.exit(0);
