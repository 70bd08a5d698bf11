/**
 * Files on a web server behind the interface that readers of model files use: opened by ranges, never downloaded.
 *
 * Flow: `https://…` → remoteFiles → openTensorFile → inspect.
 */

import { CriaError } from "../shared/errors.ts";
import type { ByteSource, FileSystem } from "./byte-source.ts";
import { TemporaryFailure } from "./http.ts";
import { openUrl, type UrlOptions, type UrlSource } from "./url-source.ts";

export interface RemoteFiles extends FileSystem {
  /** How many bytes have come from the server so far. */
  fetchedBytes(): number;
}

/** Files by their addresses. `exists` asks the server unless `known` lists what there is. */
export function remoteFiles(options: UrlOptions, known?: ReadonlySet<string>): RemoteFiles {
  // One source an address: whether a file exists is told by fetching its start, which is then read.
  const sources = new Map<string, UrlSource>();
  const open = async (url: string): Promise<ByteSource> => {
    const source = sources.get(url) ?? (await openUrl(url, options));
    sources.set(url, source);
    return {
      name: source.name,
      byteLength: source.byteLength,
      read: (byteOffset, byteLength) => source.read(byteOffset, byteLength),
      async close() {},
    };
  };
  return {
    open,
    async create(url) {
      throw new CriaError("unsupported", `${url}: files on a server cannot be written`);
    },
    async list() {
      return undefined;
    },
    async exists(url) {
      if (known) return known.has(url);
      try {
        await open(url);
        return true;
      } catch (error) {
        if (error instanceof CriaError && isRefusal(error)) return false;
        throw error;
      }
    },
    join: (folder, ...names) => [folder.replace(/\/$/, ""), ...names].join("/"),
    folderOf: (url) => url.replace(/[?#].*$/, "").replace(/\/[^/]*$/, ""),
    baseName: (url) => url.replace(/[?#].*$/, "").replace(/^.*\//, ""),
    fetchedBytes: () => [...sources.values()].reduce((sum, source) => sum + source.fetchedBytes, 0),
  };
}

/**
 * Whether the server will not give a file. Many say 403 of a file that is not there (storage whose lists are private), or
 * send a page of words in its place.
 */
function isRefusal(error: CriaError): boolean {
  if (error.code === "network") return !(error instanceof TemporaryFailure);
  return error.code === "not-found" || error.code === "unsupported";
}
