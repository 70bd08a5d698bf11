/** Cria's built files in real Chromium, over a server on this machine. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { type Browser, chromium, type Page } from "playwright-core";

const root = join(import.meta.dirname, "..", "..");
const path = process.env.CRIA_CHROMIUM ?? "/usr/bin/chromium";

/** Whether there is a Chromium; says why not. */
export function chromiumIsInstalled(): boolean {
  if (existsSync(path)) return true;
  console.warn(`skipped: no Chromium at ${path}; install Debian's chromium or set CRIA_CHROMIUM`);
  return false;
}

/** @param more further arguments of Chromium */
export function startChromium(...more: readonly string[]): Promise<Browser> {
  const quiet = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
  ];
  return chromium.launch({
    executablePath: path,
    args: ["--no-sandbox", "--disable-sync", ...quiet, ...more],
  });
}

/** Compiles src into a folder as the package has it. */
export async function buildInto(folder: string): Promise<void> {
  const tsc = join(root, "node_modules", ".bin", "tsc");
  await promisify(execFile)(tsc, ["--project", "tsconfig.build.json", "--outDir", folder], { cwd: root });
}

export interface PageServer {
  readonly url: string;
  /** What was asked for with a range, in order. */
  readonly ranges: string[];
  close(): void;
}

const types: Readonly<Record<string, string>> = { ".js": "text/javascript", ".html": "text/html" };
const html = `<!doctype html><meta charset="utf-8"><title>Cria</title>
<script type="importmap">{"imports":{"@huggingface/jinja":"/jinja/index.js"}}</script>
<script>globalThis.importModule = (path) => import(path)</script>`;

/**
 * Serves `/` (a page that can import the package), `/dist/…`, and files of `folder`, with ranges.
 *
 * @param isolated whether the page gets the headers that threads need
 */
export async function servePage(dist: string, folder: string, isolated: boolean): Promise<PageServer> {
  const ranges: string[] = [];
  // A model is asked for in hundreds of ranges.
  const known = new Map<string, Promise<Buffer | undefined>>();
  const contentsOf = (file: string): Promise<Buffer | undefined> => {
    const contents = known.get(file) ?? readFile(file).catch(() => undefined);
    known.set(file, contents);
    return contents;
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (isolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
    }
    const file = pathname.startsWith("/dist/")
      ? join(dist, pathname.slice(6))
      : pathname.startsWith("/jinja/")
        ? join(root, "node_modules/@huggingface/jinja/dist", pathname.slice(7))
        : join(folder, pathname);
    const body = pathname === "/" ? Buffer.from(html) : await contentsOf(file);
    if (!body) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader(
      "content-type",
      types[pathname === "/" ? ".html" : extname(pathname)] ?? "application/octet-stream",
    );
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (!range) {
      response.end(body);
      return;
    }
    ranges.push(`${range[1]}-${range[2]}`);
    const [first, last] = [Number(range[1]), Math.min(body.length - 1, Number(range[2]))];
    response.writeHead(206, { "content-range": `bytes ${first}-${last}/${body.length}`, etag: '"1"' });
    response.end(body.subarray(first, last + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, ranges, close: () => server.closeAllConnections() };
}

/** A page whose errors fail the test that uses it. */
export async function openPage(browser: Browser, url: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.on("pageerror", (error) => console.error("in the page:", error));
  await page.goto(url);
  return page;
}
