/**
 * Brings a model from the hub into the cache: asks what the revision is now, downloads what is missing, links it into
 * the snapshot of that commit.
 *
 * Flow: `hf:user/repo:QUANT` → parseModelName → api.ts → chooseFiles → download.ts → cache.ts → a path to open.
 */
import { join } from "node:path";
import { chooseFiles, chooseNamed } from "../../../files/hub/choose-files.ts";
import { type HubName, parseModelName } from "../../../files/hub/name.ts";
import { CriaError } from "../../../shared/errors.ts";
import { describeRepository, fileUrl, type HubFile, hubHttp, hubRefusal } from "./api.ts";
import {
  blobPath,
  cachedCommit,
  diskError,
  filesBelow,
  isCommit,
  linkSnapshot,
  lockPath,
  repoFolder,
  sizeOf,
  snapshotFolder,
  storeRevision,
} from "./cache.ts";
import { downloadBlob } from "./download.ts";
import { withLock } from "./lock.ts";
import { type HubSettings, hubSettings, type ResolveOptions } from "./options.ts";

/** A model on this machine. */
export interface PulledModel {
  /** What to open: the file, the first of a GGUF's parts, or the folder of a safetensors model. */
  readonly path: string;
  /** Paths of all its files. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/**
 * Downloads a model that is named `hf:…`, or brings the cached one up to date.
 *
 * @throws {CriaError} code "offline" when something is missing and the network is not to be used; "not-found",
 * "network", "checksum", "aborted"; "bad-input" for a path or address.
 */
export async function pullModel(name: string, options: ResolveOptions = {}): Promise<PulledModel> {
  const wanted = parseModelName(name);
  if (wanted.kind !== "hub")
    throw new CriaError("bad-input", `${name}: only models on the hub are pulled: hf:user/repo:QUANT`);
  return pullHubModel(wanted, options, await hubSettings(options));
}

/** `pullModel` for a name that is taken apart. */
export async function pullHubModel(
  wanted: HubName,
  options: ResolveOptions,
  settings: HubSettings,
): Promise<PulledModel> {
  const { cacheFolder } = settings;
  if (settings.offline) return cachedModel(wanted, settings);
  const { commit, files } = await describeRepository(wanted.repo, wanted.revision, settings);
  const chosen = filesOf(
    files.map((file) => file.path),
    wanted,
  );
  const byPath = new Map(files.map((file) => [file.path, file]));
  const needed = chosen.map((path) => byPath.get(path)!);
  const totalBytes = needed.reduce((sum, file) => sum + file.byteLength, 0);

  let earlierBytes = 0;
  try {
    // Weights last: where they are in the cache, so is everything else.
    for (const file of needed.toReversed()) {
      const report = (receivedBytes: number): void =>
        options.onDownload?.({ file: file.path, receivedBytes: earlierBytes + receivedBytes, totalBytes });
      await bring(wanted.repo, commit, file, settings, report);
      earlierBytes += file.byteLength;
    }
    await storeRevision(cacheFolder, wanted.repo, wanted.revision, commit);
  } catch (error) {
    throw diskError(repoFolder(cacheFolder, wanted.repo), error);
  }
  return placed(snapshotFolder(cacheFolder, wanted.repo, commit), chosen, totalBytes, wanted);
}

/** The model in the cache, without the network. @throws {CriaError} code "offline" */
export async function cachedModel(wanted: HubName, settings: HubSettings): Promise<PulledModel> {
  const { cacheFolder } = settings;
  const commit = await cachedCommit(cacheFolder, wanted.repo, wanted.revision);
  const folder = commit === undefined ? undefined : snapshotFolder(cacheFolder, wanted.repo, commit);
  const files = folder === undefined ? [] : await filesBelow(folder);
  if (folder === undefined || files.length === 0)
    throw new CriaError(
      "offline",
      `${wanted.repo} (${wanted.revision}) is not in the cache ${cacheFolder}, and offline mode is on; ` +
        "pull it while connected",
    );
  try {
    const chosen = filesOf(files, wanted);
    const sizes = await Promise.all(chosen.map((file) => sizeOf(join(folder, file))));
    return placed(
      folder,
      chosen,
      sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0),
      wanted,
    );
  } catch (cause) {
    if (!(cause instanceof CriaError && cause.code === "not-found")) throw cause;
    throw new CriaError(
      "offline",
      `${wanted.repo} in the cache ${cacheFolder}: ${cause.message}; offline mode is on`,
      {
        cause,
      },
    );
  }
}

/** Whether the network can add nothing: the name says a commit, which never changes, and the file. */
export function isFixed(wanted: HubName): boolean {
  return isCommit(wanted.revision) && (wanted.file ?? wanted.quantization) !== undefined;
}

/** The files that a name means, weights first. */
export function filesOf(files: readonly string[], wanted: HubName): string[] {
  return wanted.file === undefined
    ? chooseFiles(files, wanted.quantization)
    : chooseNamed(files, wanted.file);
}

/** Makes sure that one file is in the snapshot. */
async function bring(
  repo: string,
  commit: string,
  file: HubFile,
  settings: HubSettings,
  report: (receivedBytes: number) => void,
): Promise<void> {
  const { cacheFolder, signal } = settings;
  const path = join(snapshotFolder(cacheFolder, repo, commit), file.path);
  const blob = blobPath(cacheFolder, repo, file.etag);
  if ((await sizeOf(path)) !== file.byteLength)
    await withLock(lockPath(cacheFolder, repo, file.etag), signal, async () => {
      // Another process may have brought it while this one waited.
      if ((await sizeOf(blob)) !== file.byteLength)
        await downloadBlob({
          url: fileUrl(repo, commit, file.path, settings),
          name: `${repo}/${file.path}`,
          blob,
          byteLength: file.byteLength,
          http: hubHttp(settings),
          refusal: (response) => hubRefusal(response, repo, `file ${file.path}`, settings),
          onReceived: report,
        });
      await linkSnapshot(blob, path);
    });
  report(file.byteLength);
}

function placed(folder: string, files: readonly string[], bytes: number, wanted: HubName): PulledModel {
  const paths = files.map((file) => join(folder, file));
  const alone = wanted.file !== undefined && files.includes(wanted.file);
  const path = alone || /\.gguf$/i.test(files[0]!) ? paths[0]! : folder;
  return { path, files: paths, bytes };
}
