/** Serves the files of a built page, isolated as `cria serve` does, and nothing else. */
import { listen } from "../../src/platform/node/listen.ts";
import { createPage, type PageFiles } from "../../src/server/page.ts";

export interface ServedFolder {
  readonly url: string;
  close(): Promise<void>;
}

export async function serveFolder(files: PageFiles): Promise<ServedFolder> {
  const answer = createPage(files);
  const { url, close } = await listen(
    {
      fetch: async (request) => (await answer(request)) ?? new Response(null, { status: 404 }),
      dispose() {},
      [Symbol.dispose]() {},
    },
    { port: 0 },
  );
  return { url, close: () => close(0) };
}
