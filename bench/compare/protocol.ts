/**
 * What an engine under measurement is asked and answers: one JSON object a line, an answer for every question.
 *
 * Flow: compare.ts (question) → cria.ts or llama-cpp.ts, a process that holds one model → answer.
 */
import { readFileSync } from "node:fs";
import { readLines } from "../oracle/read-lines.ts";

/** The first argument of an engine's process. */
export interface EngineStart {
  /** Path of a GGUF file. */
  readonly model: string;
  readonly threads: number;
  /** Positions of one sequence. */
  readonly contextLength: number;
  /** Answers that can be made side by side. */
  readonly sequences: number;
  /** Where Cria was compiled to; others do not look. */
  readonly build: string;
}

/** Greedy generation: after each prompt `count` tokens, all side by side. What the cache shares with a prompt is kept. */
export interface GenerateQuestion {
  readonly prompts: readonly (readonly number[])[];
  readonly count: number;
}

export interface EngineAnswer {
  /** From the question to the first token of any answer. */
  readonly promptMs: number;
  /** From that token to the last of all answers: for one, count − 1 steps. */
  readonly decodeMs: number;
  /** The most memory that the process had resident so far. */
  readonly peakBytes: number;
}

/** The first line of an engine's process: the model is loaded. */
export interface EngineReady {
  readonly loadMs: number;
  readonly version: string;
}

/** What an engine does with a prompt: hands over each token as it comes. `index` is that of the prompt. */
export type Generate = (ids: readonly number[], count: number, index: number) => AsyncIterable<unknown>;

/** Answers questions from stdin until it ends. */
export async function serve(version: string, load: (start: EngineStart) => Promise<Generate>): Promise<void> {
  const start = JSON.parse(process.argv[2]) as EngineStart;
  const loadStart = performance.now();
  const generate = await load(start);
  say({ loadMs: performance.now() - loadStart, version } satisfies EngineReady);
  for await (const line of readLines(process.stdin)) {
    const { prompts, count } = JSON.parse(line) as GenerateQuestion;
    const asked = performance.now();
    let first = 0;
    let last = asked;
    const answer = async (ids: readonly number[], index: number): Promise<void> => {
      let tokens = 0;
      for await (const _ of generate(ids, count, index)) {
        last = performance.now();
        first ||= last;
        if (++tokens === count) break;
      }
      if (tokens !== count) throw new Error(`expected ${count} tokens, got ${tokens}`);
    };
    await Promise.all(prompts.map(answer));
    say({ promptMs: first - asked, decodeMs: last - first, peakBytes: peakBytes() } satisfies EngineAnswer);
  }
}

/** Linux counts in maxRSS what the parent held when it started this process, but not in VmHWM. */
function peakBytes(): number {
  const status = process.platform === "linux" ? readFileSync("/proc/self/status", "utf8") : "";
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1];
  return 1024 * Number(kibibytes ?? process.resourceUsage().maxRSS);
}

function say(message: EngineReady | EngineAnswer): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
