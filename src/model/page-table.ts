/**
 * Which pages of the cache hold what, and whose they are: sequences take pages as they grow and give them back.
 *
 * A full page is known by the tokens that lead to its end, so that a prompt which begins as an earlier one did takes the
 * same pages, whoever made them. Of a page that begins alike and then goes on otherwise the beginning is copied. Pages that
 * nobody uses any more are kept until their room is needed, the longest unused going first.
 *
 *   key of page n = number of the known page n − 1, and its own PAGE_LENGTH tokens
 *
 * Flow: generate/engine.ts (which sequence grows) → PageTable → cache.ts (where its rows lie).
 */
import { CriaError } from "../shared/errors.ts";

/** Positions in a page: small enough that sequences waste little, long enough to be read as a stream. */
export const PAGE_LENGTH = 64;

/** What is known of a page in use or kept. */
interface Page {
  /** Sequences that hold it. */
  users: number;
  /** How it can be found; undefined for a page that is not full, or that another page already stands for. */
  key: string | undefined;
  /** Its tokens, and the serial of the page before it, where it has a key. */
  ids: readonly number[];
  parent: number;
  /** Never the same again, unlike its index: what follows a page that was overwritten is not found any more. */
  serial: number;
}

/** The page that a sequence is filling: what follows the known page `parent`, the tokens from `first` on. */
interface OpenPage {
  readonly page: number;
  readonly parent: number;
  /** The sequence's own, which grow. */
  readonly ids: readonly number[];
  readonly first: number;
}

/** The fewest tokens for which a page is copied; fewer are computed again. */
export const LEAST_COPIED = 8;

/** What the first page of a text follows; those of other adapters follow other numbers, below it. */
const ROOT = 0;

export class PageTable {
  readonly pageCount: number;
  readonly #pages: readonly Page[];
  /** Pages that hold nothing. */
  readonly #empty: number[];
  /** Pages that nobody holds but that can be found again, the longest unused first. */
  readonly #kept = new Set<number>();
  readonly #byKey = new Map<string, number>();
  /** Known pages by the serial of the page before them. */
  readonly #following = new Map<number, Set<number>>();
  /** By sequence. */
  readonly #open = new Map<number, OpenPage>();
  #serials = ROOT;
  readonly #roots = new Map<string, number>([["", ROOT]]);
  #root = ROOT;
  readonly #pagesOf = new Map<number, number[]>();

  constructor(pageCount: number) {
    this.pageCount = pageCount;
    this.#pages = Array.from({ length: pageCount }, () => ({
      ...{ users: 0, key: undefined, ids: [], parent: ROOT, serial: ROOT },
    }));
    this.#empty = Array.from({ length: pageCount }, (_, index) => pageCount - 1 - index);
  }

  /** Pages that sequences hold. */
  get usedPages(): number {
    return this.pageCount - this.#empty.length - this.#kept.size;
  }

  /** The pages of a sequence, in order of position. */
  pagesOf(sequence: number): readonly number[] {
    return this.#pagesOf.get(sequence) ?? [];
  }

  /**
   * Gives a sequence room for `length` tokens. What it held before stays.
   *
   * @returns whether it holds more pages now.
   * @throws {CriaError} code "context-full" when sequences hold all pages.
   */
  reserve(sequence: number, length: number): boolean {
    const pages = this.#pagesOf.get(sequence) ?? [];
    const wanted = Math.ceil(length / PAGE_LENGTH);
    if (pages.length >= wanted) return false;
    const free = this.#empty.length + this.#kept.size;
    if (wanted - pages.length > free)
      throw new CriaError(
        "context-full",
        `the cache has ${free * PAGE_LENGTH} free positions; a sequence asks for ${length}`,
      );
    while (pages.length < wanted) pages.push(this.#takePage());
    this.#pagesOf.set(sequence, pages);
    return true;
  }

  /**
   * Lets a sequence begin with the pages of `ids` that are known, after those that it holds already.
   *
   * @param held tokens that the sequence keeps, a multiple of PAGE_LENGTH.
   * @returns how many tokens it begins with now, a multiple of PAGE_LENGTH.
   */
  adopt(sequence: number, ids: readonly number[], held: number): number {
    const pages = this.#pagesOf.get(sequence) ?? [];
    let serial = this.#serialAt(ids, held);
    let length = held;
    while (serial !== undefined && length + PAGE_LENGTH <= ids.length) {
      const found = this.#byKey.get(keyOf(serial, ids, length));
      if (found === undefined) break;
      this.#pages[found].users++;
      this.#kept.delete(found);
      pages.push(found);
      serial = this.#pages[found].serial;
      length += PAGE_LENGTH;
    }
    if (length > held) this.#pagesOf.set(sequence, pages);
    return length;
  }

  /** Whether the page of a sequence's token at `position` can be found by others. */
  isKnown(sequence: number, position: number): boolean {
    const page = this.#pagesOf.get(sequence)?.[Math.floor(position / PAGE_LENGTH)];
    return page !== undefined && this.#pages[page].key !== undefined;
  }

  /** How many tokens of `ids` are known: whole pages, and what begins another page. */
  knownLength(ids: readonly number[]): number {
    let serial = this.#root;
    let length = 0;
    while (length + PAGE_LENGTH <= ids.length) {
      const found = this.#byKey.get(keyOf(serial, ids, length));
      if (found === undefined) break;
      serial = this.#pages[found].serial;
      length += PAGE_LENGTH;
    }
    return length + (this.#similar(serial, ids, length)?.length ?? 0);
  }

  /**
   * Gives a sequence a page of its own that begins as a known one does, where one begins as `ids` go on after `held`.
   *
   * @param held tokens that the sequence keeps, a multiple of PAGE_LENGTH.
   * @returns how many tokens it begins with now, and the page to copy into its last one, if it did not take that itself.
   */
  beginAlike(
    sequence: number,
    ids: readonly number[],
    held: number,
  ): { readonly length: number; readonly copyOf?: number } {
    const serial = this.#serialAt(ids, held);
    const found = serial === undefined ? undefined : this.#similar(serial, ids, held);
    if (!found) return { length: held };
    // In use for a moment, so that its room is not taken for the copy.
    this.#pages[found.page].users++;
    this.#kept.delete(found.page);
    if (this.#empty.length + this.#kept.size > 0) {
      this.reserve(sequence, held + 1);
      this.#giveBack(found.page);
      return { length: held + found.length, copyOf: found.page };
    }
    // Without room for a copy a page that nobody else holds is taken itself.
    if (this.#pages[found.page].users > 1) {
      this.#giveBack(found.page);
      return { length: held };
    }
    this.#forget(found.page);
    this.#pagesOf.set(sequence, [...this.pagesOf(sequence), found.page]);
    return { length: held + found.length };
  }

  /** Makes the full pages of a sequence known; `ids` are all of its tokens, `from` those that were known before. */
  publish(sequence: number, ids: readonly number[], from: number): void {
    const pages = this.#pagesOf.get(sequence) ?? [];
    const first = Math.floor(from / PAGE_LENGTH);
    const last = Math.floor(ids.length / PAGE_LENGTH);
    if (first === last && this.#open.get(sequence)?.ids === ids) return;
    let serial = this.#serialAt(ids, first * PAGE_LENGTH);
    for (let index = first; serial !== undefined && index < last; index++) {
      const key = keyOf(serial, ids, index * PAGE_LENGTH);
      const known = this.#byKey.get(key);
      if (known !== undefined) serial = this.#pages[known].serial;
      else {
        const page = this.#pages[pages[index]];
        page.key = key;
        page.ids = ids.slice(index * PAGE_LENGTH, (index + 1) * PAGE_LENGTH);
        page.parent = serial;
        const siblings = this.#following.get(serial) ?? new Set();
        this.#following.set(serial, siblings.add(pages[index]));
        page.serial = serial = ++this.#serials;
        this.#byKey.set(key, pages[index]);
      }
    }
    if (serial === undefined || last >= pages.length) this.#open.delete(sequence);
    else this.#open.set(sequence, { page: pages[last], parent: serial, ids, first: last * PAGE_LENGTH });
  }

  /**
   * Gives back what a sequence holds beyond its first `length` tokens. A page that is cut will be written again: it cannot
   * be found any more, and where others hold it too the sequence falls back to its beginning.
   *
   * @returns how many tokens the sequence still holds.
   */
  release(sequence: number, length = 0): number {
    this.#open.delete(sequence);
    const pages = this.#pagesOf.get(sequence);
    if (!pages) return length;
    let kept = length;
    const cut = Math.floor(length / PAGE_LENGTH);
    if (length % PAGE_LENGTH !== 0 && cut < pages.length) {
      if (this.#pages[pages[cut]].users > 1) kept = cut * PAGE_LENGTH;
      else this.#forget(pages[cut]);
    }
    for (const page of pages.splice(Math.ceil(kept / PAGE_LENGTH)).reverse()) this.#giveBack(page);
    return kept;
  }

  /** From now on pages are found and made known among those of `variant`: other adapters give other keys and values. */
  useVariant(variant: string): void {
    const root = this.#roots.get(variant) ?? ROOT - this.#roots.size;
    this.#roots.set(variant, root);
    this.#root = root;
  }

  /** The page after `serial` that has most of its beginning in common with `ids` from `first` on. */
  #similar(
    serial: number,
    ids: readonly number[],
    first: number,
  ): { readonly page: number; readonly length: number } | undefined {
    let best: { readonly page: number; readonly length: number } | undefined;
    const compare = (page: number, known: readonly number[], knownFirst: number): void => {
      let length = 0;
      while (
        length < PAGE_LENGTH &&
        knownFirst + length < known.length &&
        first + length < ids.length &&
        known[knownFirst + length] === ids[first + length]
      )
        length++;
      if (length >= LEAST_COPIED && length > (best?.length ?? 0)) best = { page, length };
    };
    for (const page of this.#following.get(serial) ?? []) compare(page, this.#pages[page].ids, 0);
    for (const open of this.#open.values())
      if (open.parent === serial) compare(open.page, open.ids, open.first);
    return best;
  }

  #takePage(): number {
    let page = this.#empty.pop();
    if (page === undefined) {
      [page] = this.#kept;
      this.#kept.delete(page);
      this.#forget(page);
    }
    this.#pages[page].users = 1;
    return page;
  }

  #giveBack(index: number): void {
    const page = this.#pages[index];
    page.users--;
    if (page.users > 0) return;
    if (page.key === undefined) this.#empty.push(index);
    else this.#kept.add(index);
  }

  #forget(index: number): void {
    const page = this.#pages[index];
    if (page.key === undefined) return;
    this.#byKey.delete(page.key);
    const siblings = this.#following.get(page.parent);
    siblings?.delete(index);
    if (siblings?.size === 0) this.#following.delete(page.parent);
    page.key = undefined;
    page.ids = [];
  }

  /** The serial of the known page that ends at `length` tokens, a multiple of PAGE_LENGTH; undefined when it is gone. */
  #serialAt(ids: readonly number[], length: number): number | undefined {
    let serial = this.#root;
    for (let first = 0; first < length; first += PAGE_LENGTH) {
      const page = this.#byKey.get(keyOf(serial, ids, first));
      if (page === undefined) return undefined;
      serial = this.#pages[page].serial;
    }
    return serial;
  }
}

function keyOf(serial: number, ids: readonly number[], first: number): string {
  return `${serial}:${ids.slice(first, first + PAGE_LENGTH).join(",")}`;
}
