/**
 * Checkpoints: everything that a run needs to go on to the bit.
 *
 *   step-00000100.safetensors   weights, means and variances of every parameter, F32
 *   step-00000100.json          step, recipe's fingerprint, SHA-256 of the file above; written last
 *
 * Each file appears whole or not at all, and a checkpoint counts only with both, so a process that dies at any moment
 * leaves the checkpoints before it as they were.
 *
 * Flow: ParameterStore → saveCheckpoint → findCheckpoint, loadCheckpoint → ParameterStore.
 */
import { type FileSystem, writeWhole } from "../files/byte-source.ts";
import { readSafetensors } from "../files/safetensors/read.ts";
import { writeSafetensors } from "../files/safetensors/write.ts";
import type { StoredTensor } from "../files/stored-tensor.ts";
import { CriaError } from "../shared/errors.ts";
import { type ParameterKind, type ParameterStore, parameterKinds } from "./parameters.ts";

/** What a run's files are kept with. */
export interface CheckpointPlace {
  readonly files: FileSystem;
  readonly folder: string;
  /** SHA-256 of files one after the other, in hexadecimal. */
  hashFiles(paths: readonly string[]): Promise<string>;
  remove(path: string): Promise<void>;
}

export interface CheckpointState {
  readonly step: number;
  /** Of everything that decides what the run computes: a checkpoint of another recipe is not resumed. */
  readonly fingerprint: string;
}

interface CheckpointFile extends CheckpointState {
  readonly sha256: string;
}

/** Writes a checkpoint and removes the oldest ones beyond `keep`. */
export async function saveCheckpoint(
  place: CheckpointPlace,
  store: ParameterStore,
  state: CheckpointState,
  keep: number,
): Promise<void> {
  const { files, folder } = place;
  const data = files.join(folder, `${nameOf(state.step)}.safetensors`);
  const tensors = store.names.flatMap((name) => parameterKinds.map((kind) => stored(store, name, kind)));
  const metadata = new Map([["format", "cria-checkpoint"]]);
  await writeWhole(files, data, (sink) => writeSafetensors(sink, { metadata, tensors, vectors: new Set() }));
  const description: CheckpointFile = { ...state, sha256: await place.hashFiles([data]) };
  await writeWhole(files, files.join(folder, `${nameOf(state.step)}.json`), (sink) =>
    sink.write(new TextEncoder().encode(JSON.stringify(description))),
  );
  const steps = await stepsIn(place);
  for (const step of steps.slice(0, Math.max(0, steps.length - keep))) {
    // The description first: what is left of a removal that is cut short does not count.
    await place.remove(files.join(folder, `${nameOf(step)}.json`));
    await place.remove(files.join(folder, `${nameOf(step)}.safetensors`));
  }
  // What a process that was killed left half-written.
  for (const name of (await files.list(folder)) ?? [])
    if (/^step-\d+\.(?:json|safetensors)\.[0-9a-f]+\.tmp$/.test(name))
      await place.remove(files.join(folder, name));
}

/** Steps that have a whole checkpoint, ascending. */
async function stepsIn({ files, folder }: CheckpointPlace): Promise<number[]> {
  const names = new Set((await files.list(folder)) ?? []);
  return [...names].flatMap((name) => {
    const step = /^step-(\d+)\.json$/.exec(name)?.[1];
    return step !== undefined && names.has(`step-${step}.safetensors`) ? [Number(step)] : [];
  });
}

/**
 * Fills the store from the newest checkpoint.
 *
 * @returns its state, or undefined when there is none.
 * @throws {CriaError} "bad-file" for a damaged one, naming what to remove to go on from the one before; "bad-input"
 * for one of another recipe.
 */
export async function loadCheckpoint(
  place: CheckpointPlace,
  store: ParameterStore,
  fingerprint: string,
): Promise<CheckpointState | undefined> {
  const steps = await stepsIn(place);
  const step = steps.at(-1);
  if (step === undefined) return undefined;
  const { files, folder } = place;
  const data = files.join(folder, `${nameOf(step)}.safetensors`);
  const before = steps.at(-2);
  const advice =
    before === undefined
      ? "there is no earlier one"
      : `remove it to go on from step ${before}, which is kept`;
  const description = await readDescription(place, files.join(folder, `${nameOf(step)}.json`), advice);
  if (description.fingerprint !== fingerprint)
    throw new CriaError(
      "bad-input",
      `${data}: a checkpoint of another recipe; use the recipe that it was made with, or another output folder`,
    );
  if ((await place.hashFiles([data])) !== description.sha256)
    throw new CriaError("bad-file", `${data}: the checkpoint is damaged (its SHA-256 differs); ${advice}`);
  await readParameters(files, data, store);
  return { step: description.step, fingerprint };
}

async function readDescription(
  place: CheckpointPlace,
  path: string,
  advice: string,
): Promise<CheckpointFile> {
  const source = await place.files.open(path);
  try {
    const text = new TextDecoder().decode(await source.read(0, source.byteLength));
    const value = JSON.parse(text) as CheckpointFile;
    if (typeof value.sha256 === "string" && typeof value.step === "number") return value;
  } catch (cause) {
    throw new CriaError("bad-file", `${path}: the checkpoint is damaged; ${advice}`, { cause });
  } finally {
    await source.close();
  }
  throw new CriaError("bad-file", `${path}: the checkpoint is damaged; ${advice}`);
}

async function readParameters(files: FileSystem, path: string, store: ParameterStore): Promise<void> {
  const source = await files.open(path);
  try {
    const header = await readSafetensors(source);
    const tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
    for (const name of store.names)
      for (const kind of parameterKinds) {
        const info = tensors.get(`${name}.${kind}`);
        const { rows, columns } = store.shape(name);
        if (info?.byteLength !== 4 * rows * columns)
          throw new CriaError("bad-file", `${path}: expected ${name}.${kind} as [${rows}, ${columns}] F32`);
        const bytes = await source.read(info.byteOffset, info.byteLength);
        store.write(name, new Float32Array(bytes.buffer, bytes.byteOffset, rows * columns), kind);
      }
  } finally {
    await source.close();
  }
}

function stored(store: ParameterStore, name: string, kind: ParameterKind): StoredTensor {
  const { rows, columns } = store.shape(name);
  return {
    name: `${name}.${kind}`,
    format: "F32",
    rows,
    columns,
    async readRows(rowFirst, rowCount) {
      const values = await store.read(name, kind);
      return new Uint8Array(values.slice(rowFirst * columns, (rowFirst + rowCount) * columns).buffer);
    },
  };
}

function nameOf(step: number): string {
  return `step-${String(step).padStart(8, "0")}`;
}
