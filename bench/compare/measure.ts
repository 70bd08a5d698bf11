/**
 * One model on both engines. First each is started, loaded and asked for one token, and ended, in turns. Then both stay
 * and answer in turns; one waits while the other works. Limits of the machine are measured between the turns.
 */
import { type EngineName, type EngineProcess, startEngine } from "./engine.ts";
import type { LimitMeter } from "./limits.ts";
import type { BenchModel } from "./models.ts";
import type { EngineAnswer, EngineStart, GenerateQuestion } from "./protocol.ts";

export interface MeasureOptions {
  readonly engines: readonly EngineName[];
  readonly threads: number;
  readonly repeat: number;
  /** Positions before the tokens of the decode test at depth; 0 for no such test. */
  readonly depth: number;
  /** Where Cria was compiled to. */
  readonly build: string;
  readonly onTurn: (text: string) => void;
}

/** A test under llama-bench's name: pp512, tg128, tg128@d3968. */
export interface Test {
  readonly name: string;
  readonly kind: "prefill" | "decode";
  /** Positions in the cache when it starts. */
  readonly depth: number;
  readonly tokens: number;
}

export interface EngineSamples {
  version: string;
  readonly loadMs: number[];
  readonly firstTokenMs: number[];
  /** Tokens/s by test. */
  readonly speeds: Record<string, number[]>;
  peakBytes: number;
}

export interface ModelSamples {
  readonly model: BenchModel;
  readonly tests: readonly Test[];
  readonly contextLength: number;
  readonly engines: Partial<Record<EngineName, EngineSamples>>;
  readonly readGigabytes: number[];
  readonly productGiga: number[];
}

/**
 * How long each test is warmed up, once at least. Of a small model a test takes ten milliseconds, and JavaScript is compiled
 * for good only after some hundreds.
 */
const WARM_UP_MILLISECONDS = 1000;

export async function measureModel(
  model: BenchModel,
  meter: LimitMeter,
  options: MeasureOptions,
): Promise<ModelSamples> {
  const tests = testsFor(model, options.depth);
  const contextLength = Math.max(...tests.map(({ depth, tokens }) => depth + tokens)) + 2;
  const start: EngineStart = {
    model: model.path,
    threads: options.threads,
    contextLength,
    sequences: 1,
    build: options.build,
  };
  const samples: ModelSamples = {
    model,
    tests,
    contextLength,
    engines: Object.fromEntries(options.engines.map((name) => [name, noSamples()])),
    readGigabytes: [],
    productGiga: [],
  };
  const of = (name: EngineName) => samples.engines[name] as EngineSamples;
  // The first turn is not counted: a virtual machine may first have to be given the memory, at a third of the speed.
  for (let turn = -1; turn < options.repeat; turn++)
    for (const name of inTurn(options.engines, turn + 1)) {
      options.onTurn(`start ${turn + 1}/${options.repeat}: ${name}`);
      const begun = performance.now();
      await using engine = await startEngine(name, start);
      await engine.generate({ prompts: [randomIds(model, 8, turn)], count: 1 });
      if (turn < 0) continue;
      of(name).firstTokenMs.push(performance.now() - begun);
      of(name).loadMs.push(engine.ready.loadMs);
      of(name).version = engine.ready.version;
    }

  await using stack = new AsyncDisposableStack();
  const processes: EngineProcess[] = [];
  for (const name of options.engines) processes.push(stack.use(await startEngine(name, start)));
  const ask = async (engine: EngineProcess, test: Test, seed: number): Promise<number> => {
    const answer = await engine.generate(questionOf(model, test, seed));
    of(engine.name).peakBytes = answer.peakBytes;
    return speedOf(test, answer);
  };
  for (const test of tests)
    for (const engine of processes) {
      options.onTurn(`warm up ${test.name}: ${engine.name}`);
      const end = performance.now() + WARM_UP_MILLISECONDS;
      for (let seed = -1; seed === -1 || performance.now() < end; seed--) await ask(engine, test, seed);
    }
  for (const test of tests)
    for (let turn = 0; turn < options.repeat; turn++) {
      const limits = await meter.measure();
      samples.readGigabytes.push(limits.readGigabytes);
      samples.productGiga.push(limits.productGiga);
      for (const engine of inTurn(processes, turn)) {
        options.onTurn(`${test.name} ${turn + 1}/${options.repeat}: ${engine.name}`);
        const speeds = of(engine.name).speeds;
        speeds[test.name] ??= [];
        speeds[test.name].push(await ask(engine, test, turn));
      }
    }
  return samples;
}

function testsFor({ contextLength }: BenchModel, depthWanted: number): Test[] {
  const prompt = Math.min(512, contextLength / 2);
  const tokens = Math.min(128, contextLength / 2 - 2);
  const tests: Test[] = [
    { name: `pp${prompt}`, kind: "prefill", depth: 0, tokens: prompt },
    { name: `tg${tokens}`, kind: "decode", depth: 0, tokens },
  ];
  const depth = Math.min(depthWanted, contextLength - tokens - 2);
  if (depthWanted > 0 && depth > prompt)
    tests.push({ name: `tg${tokens}@d${depth}`, kind: "decode", depth, tokens });
  return tests;
}

/** No prompt of a turn begins as the one at depth does. */
const DEPTH_SEED = 1_000_000;

/** A prompt that differs from turn to turn, so that no cache serves it; at depth the same, so that one does. */
function questionOf(model: BenchModel, test: Test, seed: number): GenerateQuestion {
  if (test.kind === "prefill") return { prompts: [randomIds(model, test.tokens, seed)], count: 1 };
  return { prompts: [randomIds(model, Math.max(1, test.depth), DEPTH_SEED)], count: test.tokens + 1 };
}

function speedOf(test: Test, answer: EngineAnswer): number {
  return (1000 * test.tokens) / (test.kind === "prefill" ? answer.promptMs : answer.decodeMs);
}

/** Ids of ordinary tokens. */
export function randomIds({ vocabularySize }: BenchModel, count: number, seed: number): number[] {
  let state = (Math.imul(seed + 2, 0x9e3779b1) | 1) >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 260 + Math.floor((state / 2 ** 32) * (vocabularySize - 260));
  });
}

/** Who begins changes from turn to turn. */
export function inTurn<Item>(items: readonly Item[], turn: number): Item[] {
  return turn % 2 === 0 ? [...items] : [...items].reverse();
}

function noSamples(): EngineSamples {
  return { version: "", loadMs: [], firstTokenMs: [], speeds: {}, peakBytes: 0 };
}
