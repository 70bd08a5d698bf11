import { hex } from "./hex.ts";

/**
 * An id that nobody else has, also where pages have no `crypto.randomUUID`: browsers give that only to addresses that are
 * safe, and a page from another machine over plain HTTP is none.
 */
export function randomId(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}
