/**
 * What a page's animation feels of Cria: `node bench/frames.ts [MODEL] [--json name]`, by default the embedded model.
 *
 * In Chromium an animation loop runs while the model tells stories on the page's own thread's request, first with threads
 * (an isolated page), then without. Reported are the longest time for which the page's thread did not come round (messages
 * to itself without a pause) and the frames' intervals, beside those of a page that does nothing. 90 frames a second leave
 * 11.1 ms for each.
 */
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { serveBench } from "./browser/serve.ts";
import { compilePackage, describeRun, writeResults } from "./compare/run.ts";

interface Beat {
  readonly tokens: number;
  /** The longest times between two turns of the page's thread, ms, longest first. */
  readonly gaps: readonly number[];
  /** Intervals of the animation's frames, ms, longest first. */
  readonly frames: readonly number[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string" } },
});
const [path = new URL("../models/default.gguf", import.meta.url).pathname] = positionals;
const build = compilePackage();
const run = describeRun(2, 1);
const browser = await chromium.launch({
  executablePath: process.env.CRIA_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-sync", "--no-first-run", "--disable-background-networking"],
});
const results: object[] = [];
console.log(
  "| page | work | tokens | gaps of the thread, ms: longest, 5th, 20th | frames, ms: longest, 5th | over 16 ms |",
);
console.log("| --- | --- | --- | --- | --- | --- |");
for (const isolated of [true, false]) {
  await using server = await serveBench(build, () => path, isolated);
  const page = await (await browser.newContext()).newPage();

  await page.goto(server.url);
  for (const work of ["none", "stories"]) {
    const beat = await page.evaluate(beatOf, work);
    const shown = (list: readonly number[], places: readonly number[]) =>
      places.map((place) => (list[place - 1] ?? 0).toFixed(1)).join(", ");
    const cells = [isolated ? "isolated, threads" : "not isolated", work, beat.tokens];
    const over = beat.gaps.filter((gap) => gap > 16).length;
    console.log(
      `| ${[...cells, shown(beat.gaps, [1, 5, 20]), shown(beat.frames, [1, 5]), over].join(" | ")} |`,
    );
    results.push({ isolated, work, ...beat, gaps: beat.gaps.slice(0, 50), frames: beat.frames.slice(0, 50) });
  }
  await page.close();
}
await browser.close();
if (values.json !== undefined) writeResults(values.json, { ...run, results });

/** Runs in the page: five seconds of animation, with stories or without. */
async function beatOf(work: string): Promise<Beat> {
  const { load } = await import(`${location.origin}/dist/browser.js`);
  const model = await load(`${location.origin}/model.gguf`, { store: false });
  const gaps: number[] = [];
  const frames: number[] = [];
  let going = true;
  const channel = new MessageChannel();
  let before = performance.now();
  channel.port1.onmessage = () => {
    const now = performance.now();
    gaps.push(now - before);
    before = now;
    if (going) channel.port2.postMessage(0);
  };
  let frame = performance.now();
  const animate = (now: number) => {
    frames.push(now - frame);
    frame = now;
    if (going) requestAnimationFrame(animate);
  };
  let tokens = 0;
  const tell = async () => {
    for await (const _ of model.chat([{ role: "user", content: "Tell me a story about a bird." }])) tokens++;
  };
  // Once before: the first answer compiles.
  if (work === "stories") await tell();
  tokens = 0;
  before = performance.now();
  channel.port2.postMessage(0);
  requestAnimationFrame((now) => {
    frame = now;
    requestAnimationFrame(animate);
  });
  const end = performance.now() + 5000;
  while (performance.now() < end)
    if (work === "stories") await tell();
    else await new Promise((resolve) => setTimeout(resolve, 100));
  going = false;
  model.dispose();
  const falling = (list: number[]) => list.sort((a, b) => b - a).slice(0, 2000);
  return { tokens, gaps: falling(gaps), frames: falling(frames) };
}
