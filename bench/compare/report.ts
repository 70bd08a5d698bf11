/** The tables of a comparison, as Markdown. */
import type { EngineName } from "./engine.ts";
import type { EngineSamples, ModelSamples, Test } from "./measure.ts";
import { summarize } from "./statistics.ts";

/** Speeds: a row for each test of each model. */
export function speedTable(results: readonly ModelSamples[], engines: readonly EngineName[]): string {
  const header = ["model", "test", ...engines.map((name) => `${name} tokens/s`), "ratio", "share of limit"];
  const rows = results.flatMap((samples) =>
    samples.tests.map((test) => [
      `${samples.model.name} (${megabytes(samples.model.byteLength)} MB)`,
      test.name,
      ...engines.map((name) => summaryText(samples.engines[name]?.speeds[test.name])),
      ratio(samples, (engine) => engine.speeds[test.name], false),
      limitShare(samples, test),
    ]),
  );
  return table(header, rows);
}

/** Start and memory: a row for each model. */
export function startTable(results: readonly ModelSamples[], engines: readonly EngineName[]): string {
  const header = [
    ...["model", ...engines.map((name) => `${name} load ms`)],
    ...[...engines.map((name) => `${name} start to first token ms`), "ratio"],
    ...[...engines.map((name) => `${name} peak MB`), "peak ÷ (file + cache)"],
  ];
  const rows = results.map((samples) => {
    const of = (read: (engine: EngineSamples) => string) =>
      engines.map((name) => {
        const engine = samples.engines[name];
        return engine ? read(engine) : "";
      });
    const needed = samples.model.byteLength + samples.contextLength * samples.model.cacheBytes;
    const peak = samples.engines.cria?.peakBytes;
    return [
      samples.model.name,
      ...of(({ loadMs }) => summaryText(loadMs)),
      ...of(({ firstTokenMs }) => summaryText(firstTokenMs)),
      ratio(samples, ({ firstTokenMs }) => firstTokenMs, true),
      ...of(({ peakBytes }) => megabytes(peakBytes)),
      peak === undefined ? "" : (peak / needed).toFixed(2),
    ];
  });
  return table(header, rows);
}

/** How many times faster Cria is. */
function ratio(
  { engines }: ModelSamples,
  read: (engine: EngineSamples) => readonly number[] | undefined,
  isTime: boolean,
): string {
  const ours = engines.cria && read(engines.cria);
  const theirs = engines["llama.cpp"] && read(engines["llama.cpp"]);
  if (!ours || !theirs) return "";
  const quotient = summarize(ours).median / summarize(theirs).median;
  return `${(isTime ? 1 / quotient : quotient).toFixed(2)} ×`;
}

/** Cria's part of the bandwidth (decode) or of the products (prefill) that the machine allowed in this run. */
function limitShare({ model, engines, readGigabytes, productGiga }: ModelSamples, test: Test): string {
  const samples = engines.cria?.speeds[test.name];
  if (!samples) return "";
  const speed = summarize(samples).median;
  if (test.kind === "prefill") {
    const limit = summarize(productGiga).median;
    return `${percent((speed * model.productCount) / 1e9 / limit)} of ${limit.toFixed(0)} GMAC/s`;
  }
  const bytes = model.productBytes + (test.depth + test.tokens / 2) * model.cacheBytes;
  const limit = summarize(readGigabytes).median;
  return `${percent((speed * bytes) / 1e9 / limit)} of ${limit.toFixed(1)} GB/s`;
}

function summaryText(samples: readonly number[] | undefined): string {
  if (!samples || samples.length === 0) return "";
  const { median, spread } = summarize(samples);
  const digits = median < 100 ? 1 : 0;
  return `${median.toFixed(digits)} ± ${spread.toFixed(digits)}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, header.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
