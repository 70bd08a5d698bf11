/** What runs inside the page: these functions are sent there as text, so each stands alone. */

/** Tokens/s of one turn. */
export interface Speeds {
  readonly prefill: number;
  readonly decode: number;
}

export interface Question {
  readonly ids: readonly number[];
  readonly count: number;
}

/** Loads the model with Cria and keeps it for `askCria`. */
export async function loadCria(settings: { threads: number; contextLength: number }): Promise<number> {
  const begun = performance.now();
  const { load } = await import(`${location.origin}/dist/browser.js`);
  const model = await load(`${location.origin}/model.gguf`, { ...settings, store: false });
  Object.assign(globalThis, { cria: model });
  return performance.now() - begun;
}

export async function askCria({ ids, count }: Question): Promise<Speeds> {
  // biome-ignore lint/suspicious/noExplicitAny: what the page holds has no type here
  const model = (globalThis as any).cria;
  const asked = performance.now();
  let first = 0;
  let last = 0;
  for await (const _ of model.generate(ids, { maxTokens: count, temperature: 0, ignoreEnd: true }).tokens()) {
    last = performance.now();
    first ||= last;
  }
  return { prefill: (1000 * ids.length) / (first - asked), decode: (1000 * (count - 1)) / (last - first) };
}

/** Loads the model with wllama and keeps it for `askWllama`. */
export async function loadWllama(settings: { threads: number; contextLength: number }): Promise<number> {
  const begun = performance.now();
  const { Wllama } = await import(`${location.origin}/wllama/index.js`);
  const wllama = new Wllama({ default: "/wllama/wasm/wllama.wasm" }, { suppressNativeLog: true });
  const file = await (await fetch("/model.gguf")).blob();
  await wllama.loadModel([file], {
    n_ctx: settings.contextLength,
    n_threads: settings.threads,
    n_gpu_layers: 0,
    n_parallel: 1,
    warmup: false,
  });
  Object.assign(globalThis, { wllama });
  return performance.now() - begun;
}

/**
 * By wllama's own timings, which leave out what its messages to the page cost. It fails on prompts of ids, so it gets a
 * text of about as many tokens.
 */
export async function askWllama({ ids, count }: Question): Promise<Speeds> {
  const words = [
    "the",
    "old",
    "man",
    "saw",
    "a",
    "boat",
    "on",
    "sea",
    "and",
    "told",
    "his",
    "son",
    "about",
    "it",
  ];
  const prompt = ids.map((id) => words[id % words.length]).join(" ");
  // biome-ignore lint/suspicious/noExplicitAny: what the page holds has no type here
  const { timings } = await (globalThis as any).wllama.createCompletion({
    ...{ prompt, max_tokens: count, temperature: 0, ignore_eos: true, cache_prompt: false },
    timings_per_token: true,
  });
  return { prefill: timings.prompt_per_second, decode: timings.predicted_per_second };
}
