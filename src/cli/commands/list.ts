/** `cria list`: the models in the Hugging Face cache, with unfinished downloads. */
import type { Command } from "commander";
import { type CachedModel, listCachedModels } from "../../platform/node/hub/list.ts";
import { formatBytes } from "../quantities.ts";
import { formatTable } from "../table.ts";
import { notice, writeJson, writeLine } from "../terminal.ts";

/** What `-m` can open. */
const WEIGHTS = /\.(gguf|safetensors|pth)$/i;

interface Flags {
  readonly all?: boolean;
  readonly json?: boolean;
}

export function addListCommand(program: Command): void {
  program
    .command("list")
    .description("show the downloaded models")
    .option("--all", "repositories without model files too")
    .option("--json", "print one JSON list")
    .option("-v, --verbose", "show the stack of errors")
    .action(async (flags: Flags) => {
      const cached = await listCachedModels();
      const models = cached.filter((model) => flags.all || model.partialBytes > 0 || hasWeights(model));
      if (flags.json) writeJson(models);
      else if (models.length === 0) notice("no models here; `cria pull hf:user/repo:QUANT` downloads one");
      else writeLine(formatTable(models.flatMap(rowsOf), [1]));
    });
}

function hasWeights({ files }: CachedModel): boolean {
  return files.some(({ path }) => WEIGHTS.test(path));
}

/** GGUF files by the name that opens each; other models as one. */
function rowsOf({ repo, revisions, files, partialBytes }: CachedModel): string[][] {
  const ggufs = files.filter(({ path }) => /\.gguf$/i.test(path));
  const others = files.filter((file) => !ggufs.includes(file));
  const rest = others.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = ggufs.map(({ path, bytes }) => [`hf:${repo}/${path}`, formatBytes(bytes)]);
  if (ggufs.length === 0 && others.length > 0) rows.push([`hf:${repo}`, formatBytes(rest)]);
  if (partialBytes > 0)
    rows.push([`hf:${repo}`, formatBytes(partialBytes), "unfinished: pull it again to go on"]);
  const named = revisions.filter((revision) => revision !== "main");
  return rows.map((row) => (row.length === 2 && named.length > 0 ? [...row, named.join(" ")] : row));
}
