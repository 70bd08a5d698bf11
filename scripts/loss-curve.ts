/**
 * Draws the loss of a training run as SVG: `node scripts/loss-curve.ts runs/stories/metrics.jsonl > curve.svg`.
 *
 * The thin line is the loss of each step, as the mean of 20; points are the held-out loss.
 */
import { readFile } from "node:fs/promises";

const path = process.argv[2];
if (!path) {
  console.error("usage: node scripts/loss-curve.ts metrics.jsonl > curve.svg");
  process.exit(2);
}

interface Metrics {
  readonly step: number;
  readonly loss?: number;
  readonly validation?: { readonly loss: number };
}

const lines = (await readFile(path, "utf8"))
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as Metrics);
const steps = lines.filter((line) => line.loss !== undefined);
const trained = Array.from({ length: Math.floor(steps.length / 20) }, (_, i) => {
  const part = steps.slice(20 * i, 20 * (i + 1));
  return { step: part[19].step, loss: part.reduce((sum, { loss = 0 }) => sum + loss, 0) / 20 };
});
const heldOut = lines.flatMap(({ step, validation }) =>
  validation ? [{ step, loss: validation.loss }] : [],
);

const [width, height, left, bottom] = [720, 360, 50, 40];
const lastStep = steps[steps.length - 1].step;
const [low, high] = [1.5, 6];
const x = (step: number) => left + ((width - left - 30) * step) / lastStep;
const y = (loss: number) => 10 + ((height - bottom - 10) * (high - Math.min(loss, high))) / (high - low);
const point = ({ step, loss }: { step: number; loss: number }) =>
  `${x(step).toFixed(1)},${y(loss).toFixed(1)}`;

const grid = [2, 3, 4, 5, 6].map(
  (loss) =>
    `<line x1="${left}" x2="${width - 10}" y1="${y(loss)}" y2="${y(loss)}" stroke="#ddd"/>` +
    `<text x="${left - 8}" y="${y(loss) + 4}" text-anchor="end">${loss}</text>`,
);
const marks = [0, 0.25, 0.5, 0.75, 1].map(
  (share) =>
    `<text x="${x(share * lastStep)}" y="${height - 20}" text-anchor="middle">${Math.round(share * lastStep)}</text>`,
);
console.log(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<title>Loss of the training run by step</title>
<rect width="100%" height="100%" fill="#fff"/>
${[...grid, ...marks].join("\n")}
<polyline fill="none" stroke="#4a7fb5" points="${trained.map(point).join(" ")}"/>
${heldOut.map((entry) => `<circle r="3.5" fill="#c2410c" cx="${x(entry.step).toFixed(1)}" cy="${y(entry.loss).toFixed(1)}"/>`).join("\n")}
<text x="${width / 2}" y="${height - 4}" text-anchor="middle">steps</text>
<text x="${width - 16}" y="24" text-anchor="end" fill="#4a7fb5">training loss, nats a token, mean of 20 steps</text>
<text x="${width - 16}" y="42" text-anchor="end" fill="#c2410c">held-out loss</text>
</svg>`,
);
