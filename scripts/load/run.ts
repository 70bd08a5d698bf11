/**
 * Many clients at once against a server, a share of them leaving in the midst of an answer; every text is compared with
 * what the same request gave when it was alone.
 *
 * Flow: requests → alone (expected texts) → all together → LoadReport.
 */

export interface LoadOptions {
  readonly connections: number;
  readonly seconds: number;
  /** Share of requests whose client leaves, 0 to 1. */
  readonly cutShare: number;
  readonly seed: number;
  /** Different requests. */
  readonly variety: number;
  readonly maxTokens: number;
  /** Called about every second. */
  readonly onTick?: (done: number) => void;
}

export interface LoadReport {
  readonly completed: number;
  readonly cut: number;
  /** Answers that were refused for now (429, 503) and asked for again. */
  readonly refused: number;
  /** What differs from the text that the request gives alone; of a cut answer, what does not begin like it. */
  readonly wrong: readonly string[];
  readonly failures: readonly string[];
  /** Tokens of the completed answers, as the server reported them. */
  readonly tokens: number;
  readonly elapsedSeconds: number;
}

interface Case {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: (data: Answer) => string;
}

interface Answer {
  readonly choices?: readonly {
    readonly text?: string;
    readonly message?: { readonly content: string };
    readonly delta?: { readonly content?: string };
  }[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: { readonly message: string };
}

interface Outcome {
  readonly text: string;
  readonly tokens: number;
  readonly left: boolean;
}

export async function runLoad(url: string, options: LoadOptions): Promise<LoadReport> {
  const next = randomNumbers(options.seed);
  const cases = Array.from({ length: options.variety }, (_, index) =>
    makeCase(index, options.maxTokens, next),
  );
  const expected: string[] = [];
  for (const one of cases) expected.push((await ask(url, one, undefined)).text);

  const wrong: string[] = [];
  const failures: string[] = [];
  let [completed, cut, refused, tokens, lastTick] = [0, 0, 0, 0, 0];
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  const client = async (): Promise<void> => {
    while (elapsed() < options.seconds) {
      const index = Math.floor(next() * cases.length);
      const leaves = next() < options.cutShare;
      try {
        const outcome = await ask(url, cases[index], leaves ? next : undefined);
        const isRight = outcome.left
          ? expected[index].startsWith(outcome.text)
          : expected[index] === outcome.text;
        if (!isRight)
          wrong.push(`case ${index}: ${JSON.stringify(outcome.text)} for ${JSON.stringify(expected[index])}`);
        if (outcome.left) cut++;
        else {
          completed++;
          tokens += outcome.tokens;
        }
      } catch (error) {
        if (error instanceof Refused) {
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 50 + 200 * next()));
        } else failures.push(String(error));
      }
      if (elapsed() - lastTick >= 1) {
        lastTick = elapsed();
        options.onTick?.(completed + cut);
      }
    }
  };
  await Promise.all(Array.from({ length: options.connections }, client));
  return { completed, cut, refused, wrong, failures, tokens, elapsedSeconds: elapsed() };
}

class Refused extends Error {}

/** @param leave draws when to leave; absent: stays to the end. */
async function ask(
  url: string,
  { path, body, text }: Case,
  leave: (() => number) | undefined,
): Promise<Outcome> {
  const controller = new AbortController();
  // A streamed answer is left after some events, a whole one after some time.
  const eventsLeft = leave ? Math.floor(leave() * 12) : Number.POSITIVE_INFINITY;
  const timer = leave && !body.stream ? setTimeout(() => controller.abort(), leave() * 300) : undefined;
  let seen = "";
  let tokens = 0;
  try {
    const response = await fetch(url + path, {
      method: "POST",
      body: JSON.stringify(body),
      signal: controller.signal,
    });
    if (response.status === 429 || response.status === 503) {
      await response.body?.cancel();
      throw new Refused();
    }
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    if (!body.stream) {
      const data = (await response.json()) as Answer;
      return { text: text(data), tokens: data.usage?.completion_tokens ?? 0, left: false };
    }
    let events = 0;
    let isWhole = false;
    for await (const data of eventsOf(response)) {
      if (data === "[DONE]") {
        isWhole = true;
        continue;
      }
      const chunk = JSON.parse(data) as Answer;
      if (chunk.error) throw new Error(chunk.error.message);
      seen += text(chunk);
      tokens += chunk.usage?.completion_tokens ?? 0;
      if (++events > eventsLeft) {
        controller.abort();
        return { text: seen, tokens, left: true };
      }
    }
    if (!isWhole) throw new Error("a stream ended without [DONE]");
    return { text: seen, tokens, left: false };
  } catch (error) {
    if (leave && controller.signal.aborted) return { text: seen, tokens, left: true };
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function* eventsOf(response: Response): AsyncGenerator<string, void> {
  let held = "";
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    held += piece;
    const events = held.split("\n\n");
    held = events.pop() ?? "";
    for (const event of events) if (event.startsWith("data: ")) yield event.slice(6);
  }
}

function makeCase(index: number, maxTokens: number, next: () => number): Case {
  const words = Array.from(
    { length: 1 + Math.floor(next() * 30) },
    () => WORDS[Math.floor(next() * WORDS.length)],
  );
  const stream = index % 3 !== 0;
  const common = {
    max_tokens: 1 + Math.floor(next() * maxTokens),
    temperature: index % 4 === 0 ? 0 : 0.5 + next(),
    seed: index,
    stream,
    ...(stream ? { stream_options: { include_usage: true } } : {}),
  };
  const text = ({ choices }: Answer) => {
    const choice = choices?.[0];
    return choice?.text ?? choice?.message?.content ?? choice?.delta?.content ?? "";
  };
  return index % 2 === 0
    ? { path: "/v1/completions", body: { ...common, prompt: words.join(" ") }, text }
    : {
        path: "/v1/chat/completions",
        body: { ...common, messages: [{ role: "user", content: words.join(" ") }] },
        text,
      };
}

const WORDS = "the a dog cat house was very happy and then they went to play in garden with ball".split(" ");

/** Uniform numbers in [0, 1) from a seed. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
