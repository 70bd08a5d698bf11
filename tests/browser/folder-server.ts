/** Serves the files of a built page and nothing else: isolated as `cria serve` does, or as a host that sets no headers. */
import { listen } from "../../src/platform/node/listen.ts";
import { createPage, type PageFiles } from "../../src/server/page.ts";

export interface ServedFolder {
  readonly url: string;
  close(): Promise<void>;
}

export async function serveFolder(files: PageFiles, isolated = true): Promise<ServedFolder> {
  const answer = createPage(files);
  const { url, close } = await listen(
    {
      async fetch(request) {
        const response = (await answer(request)) ?? new Response(null, { status: 404 });
        if (!isolated)
          for (const name of ["cross-origin-opener-policy", "cross-origin-embedder-policy"])
            response.headers.delete(name);
        return response;
      },
      dispose() {},
      [Symbol.dispose]() {},
    },
    { port: 0 },
  );
  return { url, close: () => close(0) };
}
