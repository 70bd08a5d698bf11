/**
 * Where a model's bytes are, for commands that look without downloading: on this machine, or on a server.
 *
 * Flow: `-m` → locateModel → inspect.
 */
import type { FileSystem } from "../files/byte-source.ts";
import { parseModelName } from "../files/hub/name.ts";
import { nodeFiles } from "../platform/node/file-system.ts";
import { CriaError } from "../shared/errors.ts";
import { remoteFiles } from "./remote-files.ts";

export interface Location {
  /** A path or an address. */
  readonly path: string;
  readonly files: FileSystem;
  /** Bytes that have come from a server; undefined for a model on this machine. */
  fetchedBytes(): number | undefined;
}

export async function locateModel(text: string, offline: boolean): Promise<Location> {
  const name = parseModelName(text);
  if (name.kind === "path") return { path: name.path, files: nodeFiles, fetchedBytes: () => undefined };
  if (offline) throw new CriaError("offline", `${text}: it is on a server, but --offline is on`);
  const files = remoteFiles({});
  if (name.kind === "url") return { path: name.url, files, fetchedBytes: files.fetchedBytes };
  throw new CriaError("unsupported", "hub");
}
