/**
 * Puts a server behind a socket of Node.
 *
 * Flow: createServer (fetch) → listen → http://host:port.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { CriaServer } from "../../server/create-server.ts";
import { CriaError } from "../../shared/errors.ts";

export interface ListenOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** The address to listen at; default 127.0.0.1, which only this machine reaches. */
  readonly host?: string;
}

export interface Listener {
  readonly url: string;
  readonly port: number;
  /** Takes no more connections and lets answers end; after `graceMs` they are cut. */
  close(graceMs: number): Promise<void>;
}

/** A request line and its headers have to arrive within this time, so that idle connections cannot pile up. */
const HEADERS_MS = 30_000;
const REQUEST_MS = 120_000;
const HEADER_BYTES = 32 * 1024;

/** @throws {CriaError} "bad-input" when the address cannot be listened at. */
export async function listen(
  server: CriaServer,
  { port, host = "127.0.0.1" }: ListenOptions,
): Promise<Listener> {
  const http = createAdaptorServer({
    fetch: (request) => server.fetch(request),
    hostname: host,
    // Requests and responses keep the runtime's own classes.
    overrideGlobalObjects: false,
    serverOptions: {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      maxHeaderSize: HEADER_BYTES,
    },
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    http.once("error", (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === "EADDRINUSE" ? "another program listens there" : cause.message;
      reject(new CriaError("bad-input", `cannot listen at ${host}:${port}: ${reason}`, { cause }));
    });
    http.listen(port, host, resolve);
  });
  const address = http.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${name}:${address.port}`,
    port: address.port,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => {
        http.close(() => resolve());
      });
      // A connection that is kept alive becomes idle when its last answer ends.
      const sweep = setInterval(() => http.closeIdleConnections(), 50);
      http.closeIdleConnections();
      const timer = setTimeout(() => {
        server.dispose();
        // Time for the last events, which say why.
        setTimeout(() => http.closeAllConnections(), 500).unref();
      }, graceMs);
      await closed;
      clearTimeout(timer);
      clearInterval(sweep);
      server.dispose();
    },
  };
}
