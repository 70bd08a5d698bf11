/**
 * Which files of a repository make a model.
 *
 * GGUF first: the quantization that is asked for, else Q4_K_M, another Q4_K, Q4_0, Q8_0, the first. Else safetensors
 * with their settings and tokenizer. Else Meta's own checkpoint. A model in parts
 * (`name-00001-of-00003.gguf`) is all of its parts.
 *
 * Flow: the hub's list of files → chooseFiles → platform/node/hub/pull.ts.
 */
import { CriaError } from "../../shared/errors.ts";

/** GGUF files that are no language model: image encoders and quantization statistics. */
const companion = /(^|[-._/])(mmproj|imatrix)([-._]|$)/i;
/** What a safetensors model needs beside its weights. */
const settings =
  /^(config\.json|generation_config\.json|tokenizer[^/]*\.json|tokenizer\.model|added_tokens\.json|chat_template\.jinja)$/;
const metaShard = /^consolidated\.\d+\.pth$/;
const metaSettings = /^(params\.json|tokenizer\.model)$/;
const preferred = ["Q4_K_M", "Q4_K_[A-Z]+", "Q4_K", "Q4_0", "Q8_0"];

/**
 * The files of a model, weights first and in the order of their parts.
 *
 * @throws {CriaError} code "not-found", naming what there is.
 */
export function chooseFiles(files: readonly string[], quantization?: string): string[] {
  const sorted = [...files].sort();
  const ggufs = sorted.filter((file) => /\.gguf$/i.test(file) && !companion.test(file));
  if (quantization !== undefined) {
    const found = ggufs.find((file) => names(file, escapeRegExp(quantization)));
    if (found === undefined)
      throw notFound(`no .gguf file named ${quantization}`, ggufs.length > 0 ? ggufs : sorted);
    return partsOf(sorted, found);
  }
  for (const pattern of preferred) {
    const found = ggufs.find((file) => names(file, pattern));
    if (found !== undefined) return partsOf(sorted, found);
  }
  if (ggufs.length > 0) return partsOf(sorted, ggufs[0]!);

  const tensors = sorted.filter((file) => /^[^/]+\.safetensors$/.test(file));
  if (tensors.length > 0) {
    // Some repositories hold the weights twice, the second time under their maker's names.
    const first = tensors.find((file) => file.startsWith("model")) ?? tensors[0]!;
    return withSettings(sorted, partsOf(sorted, first));
  }
  if (sorted.includes("consolidated.00.pth")) return checkpointIn(sorted, "");
  throw notFound("no .gguf, .safetensors or consolidated.00.pth file", sorted);
}

/**
 * The files that belong to one: its parts, and what lies beside it where the weights alone are no model. The file of
 * shards' names (`model.safetensors.index.json`) means the shards.
 *
 * @throws {CriaError} code "not-found", naming what there is.
 */
export function chooseNamed(files: readonly string[], file: string): string[] {
  const sorted = [...files].sort();
  if (!sorted.includes(file)) throw notFound(`no file ${file}`, sorted);
  const folder = folderOf(file);
  if (metaShard.test(file.slice(folder.length))) return checkpointIn(sorted, folder);
  if (!/\.safetensors(\.index\.json)?$/.test(file)) return partsOf(sorted, file);
  const stem = file.replace(/\.safetensors\.index\.json$/, "");
  const shard = stem === file ? file : sorted.find((path) => isShardOf(path, stem));
  return shard === undefined ? [file] : withSettings(sorted, partsOf(sorted, shard));
}

function isShardOf(path: string, stem: string): boolean {
  return path.startsWith(stem) && /^-\d{5}-of-\d{5}\.safetensors$/.test(path.slice(stem.length));
}

/** Meta's files in a folder. */
function checkpointIn(files: readonly string[], folder: string): string[] {
  return [metaShard, metaSettings].flatMap((pattern) => filesIn(files, folder, pattern));
}

/** The files of a folder whose names fit. */
function filesIn(files: readonly string[], folder: string, pattern: RegExp): string[] {
  return files.filter((path) => path.startsWith(folder) && pattern.test(path.slice(folder.length)));
}

/** With "/" at its end; "" for the repository's own. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

/** All parts of the set that `file` belongs to, in order; or the file alone. */
function partsOf(files: readonly string[], file: string): string[] {
  const match = /^(.*)-(\d{5})-of-(\d{5})(\.gguf|\.safetensors)$/i.exec(file);
  if (!match) return [file];
  const [, stem, , count, ending] = match;
  const present = new Set(files);
  const parts: string[] = [];
  for (let part = 1; part <= Number(count); part++) {
    const name = `${stem}-${String(part).padStart(5, "0")}-of-${count}${ending}`;
    if (!present.has(name)) throw notFound(`no ${name}, part ${part} of ${Number(count)}`, files);
    parts.push(name);
  }
  return parts;
}

/** With the settings from the weights' folder. */
function withSettings(files: readonly string[], weights: readonly string[]): string[] {
  const folder = folderOf(weights[0]!);
  const index = weights.length > 1 ? filesIn(files, folder, /^[^/]+\.safetensors\.index\.json$/) : [];
  return [...weights, ...index, ...filesIn(files, folder, settings)];
}

/** Whether a file's path says the quantization as a word: Q4_0 is not in "Q4_0_4_4", nor Q4_XS in "IQ4_XS". */
function names(file: string, pattern: string): boolean {
  return new RegExp(`(^|[-._/])${pattern}([-./]|$)`, "i").test(file);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\-]/g, "\\$&");
}

function notFound(what: string, files: readonly string[]): CriaError {
  const shown = files.slice(0, 30).join(", ");
  const more = files.length > 30 ? `, and ${files.length - 30} more` : "";
  return new CriaError(
    "not-found",
    `${what} in the repository; it has ${shown === "" ? "no files" : shown + more}`,
  );
}
