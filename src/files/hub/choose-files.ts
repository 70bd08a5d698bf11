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
  /^(config\.json|generation_config\.json|tokenizer[^/]*\.json|tokenizer\.model|chat_template\.jinja)$/;
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
  const checkpoints = sorted.filter((file) => /^consolidated\.\d+\.pth$/.test(file));
  if (checkpoints[0] === "consolidated.00.pth")
    return [...checkpoints, ...sorted.filter((file) => file === "params.json" || file === "tokenizer.model")];
  throw notFound("no .gguf, .safetensors or consolidated.00.pth file", sorted);
}

/**
 * The files that belong to one: its parts, and settings beside safetensors.
 *
 * @throws {CriaError} code "not-found", naming what there is.
 */
export function chooseNamed(files: readonly string[], file: string): string[] {
  const sorted = [...files].sort();
  if (!sorted.includes(file)) throw notFound(`no file ${file}`, sorted);
  const parts = partsOf(sorted, file);
  return /^[^/]+\.safetensors$/.test(file) ? withSettings(sorted, parts) : parts;
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

function withSettings(files: readonly string[], weights: readonly string[]): string[] {
  const index = files.filter((file) => weights.length > 1 && /^[^/]+\.safetensors\.index\.json$/.test(file));
  return [...weights, ...index, ...files.filter((file) => settings.test(file))];
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
