/**
 * A run as one HTML page without anything from elsewhere: curves of loss, rate, norm and speed, and the samples.
 *
 * Flow: metrics.jsonl, samples → report → report.html.
 */

/** What a line of metrics.jsonl holds. */
export interface MetricsLine {
  readonly step: number;
  /** Null, and the norm too, for a step that had no token to learn. */
  readonly loss?: number | null;
  readonly rate?: number;
  readonly norm?: number | null;
  readonly tokens?: number;
  readonly seconds?: number;
  readonly validation?: Readonly<Record<string, number>>;
  readonly samples?: readonly { readonly prompt: string; readonly text: string }[];
}

/** The library that draws: its script and style as text. */
export interface Plotter {
  readonly script: string;
  readonly style: string;
}

interface Curve {
  readonly title: string;
  readonly steps: readonly number[];
  readonly series: readonly { readonly label: string; readonly values: readonly (number | null)[] }[];
  readonly logarithmic?: boolean;
}

/** The page's HTML. */
export function report(title: string, lines: readonly MetricsLine[], plotter: Plotter): string {
  const samples = lines.flatMap(({ step, samples = [] }) => samples.map((sample) => ({ step, ...sample })));
  const data = JSON.stringify(curvesOf(lines)).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${plotter.style}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2.5rem }
blockquote { margin: .5rem 0 1.5rem; padding-left: 1rem; border-left: 3px solid #d8c8b0; white-space: pre-wrap }
.step { color: #777 }
</style>
<h1>${escapeHtml(title)}</h1>
<div id="curves"></div>
<h2>Samples</h2>
${samples.length === 0 ? "<p>None.</p>" : samples.reverse().map(sampleHtml).join("\n")}
<script>${plotter.script}</script>
<script>
const colors = ["#9a5b13", "#1f6f8b", "#777"];
for (const curve of ${data}) {
  const heading = document.createElement("h2");
  heading.textContent = curve.title;
  const place = document.createElement("div");
  document.getElementById("curves").append(heading, place);
  const series = curve.series.map((one, index) => ({ label: one.label, stroke: colors[index % 3], width: 1.5, spanGaps: true }));
  new uPlot({
    width: Math.min(900, document.body.clientWidth), height: 260,
    scales: { x: { time: false }, y: { distr: curve.logarithmic ? 3 : 1 } },
    axes: [{}, { size: 70, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : Number(tick.toPrecision(4)).toString())) }],
    series: [{ label: "step" }, ...series],
  }, [curve.steps, ...curve.series.map((one) => one.values)], place);
}
</script>
</html>
`;
}

function curvesOf(lines: readonly MetricsLine[]): Curve[] {
  // Step 0 has a validation alone.
  const trained = new Map(
    lines.flatMap((line) => (line.loss === undefined ? [] : [[line.step, line] as const])),
  );
  const steps = [...new Set(lines.map(({ step }) => step))].sort((a, b) => a - b);
  const values = (of: (line: MetricsLine) => number | null | undefined) =>
    steps.map((step) => of(trained.get(step) ?? { step }) ?? null);
  const heldOut = new Map(
    lines.flatMap(({ step, validation }) => (validation ? [[step, validation] as const] : [])),
  );
  const names = [...new Set([...heldOut.values()].flatMap((figures) => Object.keys(figures)))];
  const heldOutSeries = (name: string) => ({
    label: `held-out ${name}`,
    values: steps.map((step) => heldOut.get(step)?.[name] ?? null),
  });
  const smooth = smoothed(values((line) => line.loss));
  return [
    {
      title: "Loss",
      steps,
      series: [
        { label: "training, smoothed", values: smooth },
        ...names.filter((name) => name.startsWith("loss")).map(heldOutSeries),
      ],
    },
    ...names
      .filter((name) => !name.startsWith("loss"))
      .map((name) => ({ title: `Held-out ${name}`, steps, series: [heldOutSeries(name)] })),
    {
      title: "Norm of the gradients",
      steps,
      logarithmic: true,
      series: [{ label: "norm", values: values((line) => line.norm) }],
    },
    { title: "Learning rate", steps, series: [{ label: "rate", values: values((line) => line.rate) }] },
    {
      title: "Tokens per second",
      steps,
      series: [
        { label: "tokens/s", values: values(({ tokens, seconds = 1 }) => tokens && tokens / seconds) },
      ],
    },
  ];
}

/** A running mean whose weights halve about every 14 steps. */
function smoothed(values: readonly (number | null)[]): (number | null)[] {
  let mean: number | undefined;
  return values.map((value) => {
    if (value === null) return null;
    mean = mean === undefined ? value : 0.95 * mean + 0.05 * value;
    return mean;
  });
}

function sampleHtml({ step, prompt, text }: { step: number; prompt: string; text: string }): string {
  return `<p><span class="step">step ${step}</span> <strong>${escapeHtml(prompt)}</strong></p><blockquote>${escapeHtml(text.trim())}</blockquote>`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
