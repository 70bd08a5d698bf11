/**
 * The server for Node: the handler, and what puts it behind a socket.
 *
 *   import { createServer, listen } from "cria/server";
 *   const { url } = await listen(createServer({ model }), { port: 8080 });
 */
export { type Listener, type ListenOptions, listen } from "./platform/node/listen.ts";
export { readPage } from "./platform/node/page-folder.ts";
export { openSqliteStore } from "./platform/node/sqlite-store.ts";
export * from "./server/index.ts";
