/**
 * Where a model's bytes are, for commands that look without downloading: on this machine, or on a server.
 *
 * Flow: `-m` → locateModel → inspect.
 */
import type { FileSystem } from "../files/byte-source.ts";
import { type HubName, parseModelName } from "../files/hub/name.ts";
import { remoteFiles } from "../files/remote-files.ts";
import { nodeFiles } from "../platform/node/file-system.ts";
import { describeRepository, fileUrl, hubHttp } from "../platform/node/hub/api.ts";
import { type HubSettings, hubSettings } from "../platform/node/hub/options.ts";
import { cachedModel, filesOf, isFixed } from "../platform/node/hub/pull.ts";
import { CriaError } from "../shared/errors.ts";

export interface Location {
  /** A path or an address. */
  readonly path: string;
  readonly files: FileSystem;
  /** Bytes that have come from a server; undefined for a model on this machine. */
  fetchedBytes(): number | undefined;
}

/** @throws {CriaError} "bad-input", "offline", "not-found" or "network". */
export async function locateModel(text: string, offline: boolean): Promise<Location> {
  const name = parseModelName(text);
  if (name.kind === "path") return local(name.path);
  const settings = await hubSettings(offline ? { offline } : {});
  if (name.kind === "hub") return locateHubModel(name, settings);
  if (settings.offline)
    throw new CriaError("offline", `${text}: is read from the network; offline mode is on`);
  const files = remoteFiles({});
  return { path: name.url, files, fetchedBytes: files.fetchedBytes };
}

/** In the cache where the hub need not or cannot be asked, else on the hub. */
async function locateHubModel(name: HubName, settings: HubSettings): Promise<Location> {
  if (settings.offline || isFixed(name)) {
    const cached = await cachedModel(name, settings).catch((error: unknown) => {
      if (settings.offline) throw error;
      return undefined;
    });
    if (cached) return local(cached.path);
  }
  const { commit, files } = await describeRepository(name.repo, name.revision, settings);
  const paths = files.map(({ path }) => path);
  const chosen = filesOf(paths, name);
  // A model in shards is opened by its index.
  const first = chosen.find((path) => path.endsWith(".safetensors.index.json")) ?? chosen[0];
  const address = (path: string): string => fileUrl(name.repo, commit, path, settings);
  const remote = remoteFiles(hubHttp(settings), new Set(paths.map(address)));
  return { path: address(first), files: remote, fetchedBytes: remote.fetchedBytes };
}

function local(path: string): Location {
  return { path, files: nodeFiles, fetchedBytes: () => undefined };
}
