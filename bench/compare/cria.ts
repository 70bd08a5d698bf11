/** Cria as an engine under measurement: the compiled package, through its public interface. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type * as Cria from "../../src/node.ts";
import { serve } from "./protocol.ts";

await serve("this checkout", async ({ model: path, threads, contextLength, sequences, build }) => {
  const { load } = (await import(pathToFileURL(join(build, "node.js")).href)) as typeof Cria;
  const model = await load(path, { threads, contextLength, sequences });
  return (ids, count) => model.generate(ids, { maxTokens: count, temperature: 0, ignoreEnd: true }).tokens();
});
process.exit(0);
