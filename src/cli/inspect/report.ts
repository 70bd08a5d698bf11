/** A model's description as lines for people, and as JSON for programs. */
import type { RopeScaling } from "../../model/config.ts";
import { formatBytes, formatCount, formatInteger, plural } from "../quantities.ts";
import { formatTable } from "../table.ts";
import { visible } from "../terminal.ts";
import type { ModelDescription, TokenizerDescription } from "./describe.ts";

const KINDS = {
  gguf: "GGUF",
  safetensors: "safetensors",
  meta: "Meta checkpoint (.pth)",
  llama2c: "llama2.c",
} as const;

export function reportLines(description: ModelDescription): string {
  const { config, memory, tokenizer, files, chatTemplate, sampling } = description;
  const rows: [string, string][] = [];
  const parts = files.length > 1 ? `, ${files.length} files` : "";
  rows.push(["file", `${KINDS[description.kind]}, ${formatBytes(description.bytes)}${parts}`]);
  if (config?.name) rows.push(["name", visible(config.name)]);
  rows.push(["architecture", visible(description.architecture)]);
  rows.push(["parameters", formatCount(description.parameters)]);
  if (config) {
    const { headCount, kvHeadCount, headLength } = config;
    rows.push(["layers", formatInteger(config.layerCount)]);
    rows.push([
      "width",
      `${formatInteger(config.width)}, feed-forward ${formatInteger(config.feedForwardLength)}`,
    ]);
    rows.push([
      "heads",
      `${headCount} for queries, ${kvHeadCount} for keys and values, ${headLength} channels each`,
    ]);
    rows.push([
      "vocabulary",
      `${plural(config.vocabularySize, "token")}${description.tied ? ", head tied to it" : ""}`,
    ]);
    rows.push(["context", `${plural(config.contextLength, "token")}${windowOf(config.slidingWindow)}`]);
    rows.push([
      "rope",
      `base ${formatInteger(config.ropeBase)}, ${config.ropeLength} channels${scalingOf(config.ropeScaling)}`,
    ]);
    rows.push(["norm epsilon", String(Number(config.normEpsilon.toPrecision(6)))]);
  }
  rows.push(["tokenizer", tokenizer ? tokenizerLine(tokenizer) : "none found"]);
  rows.push([
    "chat template",
    chatTemplate === undefined ? "none" : plural(chatTemplate.length, "character"),
  ]);
  const recommended = Object.entries(sampling);
  if (recommended.length > 0)
    rows.push(["sampling", recommended.map(([name, value]) => `${name} ${value}`).join(", ")]);
  description.formats.forEach(({ format, tensors, bytes }, index) => {
    rows.push([
      index === 0 ? "tensors" : "",
      `${format.padEnd(7)} ${plural(tensors, "tensor")}, ${formatBytes(bytes)}`,
    ]);
  });
  if (memory)
    rows.push([
      "memory",
      `${formatBytes(memory.total)}: weights ${formatBytes(memory.weights)}, cache of ` +
        `${plural(memory.contextLength, "token")} ${formatBytes(memory.cache)}, buffers ${formatBytes(memory.buffers)}` +
        (memory.placement.bankCount > 1 ? `; in ${memory.placement.bankCount} memories` : ""),
    ]);
  for (const problem of description.problems) rows.push(["cannot run", visible(problem)]);
  return formatTable(rows);
}

function windowOf(slidingWindow: number): string {
  return slidingWindow > 0 ? `, each sees the last ${formatInteger(slidingWindow)}` : "";
}

function scalingOf(scaling: RopeScaling): string {
  switch (scaling.type) {
    case "none":
      return "";
    case "linear":
      return `, stretched ${scaling.factor} times`;
    case "llama3":
      return `, Llama 3's scaling by ${scaling.factor} from ${formatInteger(scaling.originalContextLength)}`;
    default:
      return scaling satisfies never;
  }
}

function tokenizerLine({ kind, tokens, merges, special, addBos, addEos }: TokenizerDescription): string {
  const ids = Object.entries(special).map(([name, id]) => `${name} ${id}`);
  const added = [addBos ? "bos" : "", addEos ? "eos" : ""].filter((name) => name !== "");
  return [
    `${kind}, ${plural(tokens, "token")}`,
    ...(merges > 0 ? [plural(merges, "merge")] : []),
    ...(ids.length > 0 ? [ids.join(" ")] : []),
    added.length > 0 ? `adds ${added.join(" and ")}` : "adds nothing",
  ].join("; ");
}

export function tensorLines({ tensors }: ModelDescription): string {
  return formatTable(
    tensors.map(({ name, format, rows, columns, bytes }) => [
      visible(name),
      format,
      rows === 1 ? `[${columns}]` : `[${rows}, ${columns}]`,
      formatBytes(bytes),
    ]),
    [3],
  );
}

/** Characters of a value that are shown. */
const VALUE_LENGTH = 100;
/** Entries of a list that are shown. */
const LIST_LENGTH = 4;

export function metadataLines({ metadata }: ModelDescription): string {
  return formatTable(Array.from(metadata, ([key, value]) => [visible(key), abbreviate(value)]));
}

function abbreviate(value: unknown): string {
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
    const list = value as ArrayLike<unknown>;
    const shown = Array.from({ length: Math.min(list.length, LIST_LENGTH) }, (_, index) =>
      abbreviate(list[index]),
    );
    const rest = list.length > LIST_LENGTH ? `, … ${formatInteger(list.length)} in all` : "";
    return `[${shown.join(", ")}${rest}]`;
  }
  const isNumber = typeof value === "bigint" || typeof value === "number";
  const text = visible((isNumber ? undefined : JSON.stringify(value)) ?? String(value));
  return text.length <= VALUE_LENGTH
    ? text
    : `${text.slice(0, VALUE_LENGTH)}… ${formatInteger(text.length)} characters`;
}

export function reportJson(
  description: ModelDescription,
  all: { tensors: boolean; metadata: boolean },
): unknown {
  const { metadata, tensors, chatTemplate, ...rest } = description;
  return {
    ...rest,
    chatTemplate: chatTemplate ?? null,
    ...(all.tensors ? { tensors } : {}),
    ...(all.metadata
      ? { metadata: Object.fromEntries(Array.from(metadata, ([key, value]) => [key, plain(value)])) }
      : {}),
  };
}

/** Typed arrays as lists. */
function plain(value: unknown): unknown {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
    ? Array.from(value as unknown as ArrayLike<unknown>)
    : value;
}
