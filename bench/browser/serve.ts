/** A page that may import the compiled package, wllama and models: files of this machine with ranges. */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";

const bench = join(import.meta.dirname, "..");
const html = `<!doctype html><meta charset="utf-8"><title>bench</title>
<script type="importmap">{"imports":{"@huggingface/jinja":"/jinja/index.js"}}</script>`;
const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".html": "text/html",
  ".wasm": "application/wasm",
};

export interface BenchServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Serves `/` (the page), `/dist/…`, `/jinja/…`, `/wllama/…` and `/model.gguf`.
 *
 * @param isolated whether the page gets the headers that threads need
 */
export async function serveBench(build: string, model: () => string, isolated = true): Promise<BenchServer> {
  const fileOf = (path: string): string | undefined => {
    if (path === "/model.gguf") return model();
    if (path.startsWith("/dist/")) return join(build, path.slice(6));
    if (path.startsWith("/jinja/"))
      return join(bench, "..", "node_modules/@huggingface/jinja/dist", path.slice(7));
    if (path.startsWith("/wllama/")) return join(bench, "node_modules/@wllama/wllama/esm", path.slice(8));
    return undefined;
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (isolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
    }
    if (pathname === "/") {
      response.setHeader("content-type", "text/html").end(html);
      return;
    }
    const path = fileOf(pathname);
    const size = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.size;
    if (path === undefined || size === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader("content-type", types[extname(path)] ?? "application/octet-stream");
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (!range) {
      response.setHeader("content-length", size);
      createReadStream(path).pipe(response);
      return;
    }
    const [start, end] = [Number(range[1]), Math.min(size - 1, Number(range[2]))];
    response.writeHead(206, {
      "content-range": `bytes ${start}-${end}/${size}`,
      "content-length": end - start + 1,
    });
    createReadStream(path, { start, end }).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
