/**
 * Places in the memory of a device. It grows as needed and never shrinks; freed places are used again, first fit, and
 * neighbours are joined. Allocations are few and large (weights, a cache, buffers), so a sorted list is enough.
 */
import { CriaError } from "../../shared/errors.ts";
import { PAGE, type Space } from "./space.ts";

/** Tensors start at multiples of this: a cache line. */
const ALIGNMENT = 64;
/** Bytes that are used of one WebAssembly memory: all but its last page, so that what ends there ends at an address below 2³². */
export const MEMORY_LIMIT: number = 65535 * PAGE;

/** What a heap asks of a space. */
type Grown = Pick<Space, "byteLength" | "grow" | "clear">;

interface Gap {
  start: number;
  end: number;
}

export class Heap {
  readonly #space: Grown;
  /** Free places in order; the first page holds the module's own constants. */
  readonly #gaps: Gap[] = [];
  #end: number;
  /** Beyond this nothing was ever allocated from pages that came as zeros. */
  #used: number;
  readonly #limit: number;

  /** @param limit bytes up to which it grows. */
  constructor(space: Grown, limit: number = MEMORY_LIMIT) {
    this.#space = space;
    this.#limit = Math.min(limit, MEMORY_LIMIT);
    this.#end = space.byteLength;
    this.#used = this.#end;
    if (this.#end > PAGE) this.#gaps.push({ start: PAGE, end: this.#end });
  }

  /**
   * Address of `byteLength` bytes; zeroed unless they will be written all.
   *
   * @throws {CriaError} code "no-memory" when the memory cannot grow.
   */
  allocate(byteLength: number, zeroed = true): number {
    const size = Math.ceil(Math.max(1, byteLength) / ALIGNMENT) * ALIGNMENT;
    let gap = this.#gaps.find(({ start, end }) => end - start >= size);
    if (!gap) gap = this.#grow(size);
    const address = gap.start;
    gap.start += size;
    if (gap.start === gap.end) this.#gaps.splice(this.#gaps.indexOf(gap), 1);
    const dirty = Math.min(address + size, this.#used);
    if (zeroed && dirty > address) this.#space.clear(address, dirty);
    this.#used = Math.max(this.#used, address + size);
    return address;
  }

  free(address: number, byteLength: number): void {
    const end = address + Math.ceil(Math.max(1, byteLength) / ALIGNMENT) * ALIGNMENT;
    this.#insert({ start: address, end });
  }

  #grow(size: number): Gap {
    const last = this.#gaps.at(-1);
    const reusable = last?.end === this.#end ? last.end - last.start : 0;
    const pages = Math.ceil((size - reusable) / PAGE);
    try {
      if (this.#end + pages * PAGE > this.#limit) throw new RangeError("beyond the limit");
      this.#space.grow(pages);
    } catch (cause) {
      const held = Math.round(this.#end / 2 ** 20);
      const wanted = Math.ceil(size / 2 ** 20);
      throw new CriaError(
        "no-memory",
        `the CPU device holds ${held} MiB and cannot get ${wanted} MiB more; its memory has ${Math.floor(this.#limit / 2 ** 20)} MiB at most`,
        { cause },
      );
    }
    const start = this.#end;
    this.#end += pages * PAGE;
    return this.#insert({ start, end: this.#end });
  }

  #insert(gap: Gap): Gap {
    let index = this.#gaps.findIndex(({ start }) => start > gap.start);
    if (index < 0) index = this.#gaps.length;
    this.#gaps.splice(index, 0, gap);
    const next = this.#gaps[index + 1];
    if (next?.start === gap.end) {
      gap.end = next.end;
      this.#gaps.splice(index + 1, 1);
    }
    const before = this.#gaps[index - 1];
    if (before?.end !== gap.start) return gap;
    before.end = gap.end;
    this.#gaps.splice(index, 1);
    return before;
  }
}
