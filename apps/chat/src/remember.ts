/** Small settings in this browser. Where it lets pages keep nothing they last as long as the page. */

const held = new Map<string, string>();

export function remember(key: string, value: string, place: "local" | "session" = "local"): void {
  held.set(key, value);
  try {
    storageOf(place).setItem(key, value);
  } catch {
    // What is held above has to do.
  }
}

export function recall(key: string, place: "local" | "session" = "local"): string | undefined {
  try {
    return storageOf(place).getItem(key) ?? held.get(key);
  } catch {
    return held.get(key);
  }
}

/** @throws {DOMException} where the person blocks storage */
function storageOf(place: "local" | "session"): Storage {
  return place === "local" ? localStorage : sessionStorage;
}
