/**
 * An id that nobody else has, also where pages have no `crypto.randomUUID`: browsers give that only to addresses that are
 * safe, and a page from another machine over plain HTTP is none.
 */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
