/**
 * Writes the cases of tests/training/torch-case.ts for scripts/oracle/training.py: `node scripts/oracle/training.ts FOLDER`.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rateAt } from "../../src/train/schedule.ts";
import { seededNumbers } from "../../tests/random-model.ts";
import { batches, config, schedule, shape, startTraining, steps } from "../../tests/training/torch-case.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("expected a folder to write to");
await mkdir(folder, { recursive: true });
for (const tied of [true, false]) {
  const { store } = await startTraining(tied);
  const weights: Record<string, unknown> = {};
  for (const name of store.names) {
    const { rows, columns } = store.shape(name);
    weights[name] = { rows, columns, values: [...(await store.read(name))] };
  }
  const largest = Math.max(...store.names.map((name) => store.shape(name).rows * store.shape(name).columns));
  const values = {
    config,
    shape,
    tied,
    weights,
    probe: Array.from({ length: largest }, seededNumbers(17)),
    rates: Array.from({ length: steps }, (_, index) => rateAt(schedule, index + 1, steps)),
    batches: batches.map((batch) =>
      Object.fromEntries(
        Object.entries(batch).map(([key, list]) => [key, typeof list === "number" ? list : [...list]]),
      ),
    ),
  };
  await writeFile(join(folder, tied ? "tied.json" : "untied.json"), JSON.stringify(values));
}
