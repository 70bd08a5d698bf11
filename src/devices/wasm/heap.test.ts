import fc from "fast-check";
import { expect, it } from "vitest";
import { Heap } from "./heap.ts";
import type { Space } from "./space.ts";

/** Bytes of this program's own, so that no run of these tests depends on how much address space a machine has left. */
class ArraySpace implements Pick<Space, "byteLength" | "grow" | "clear"> {
  bytes = new Uint8Array(65536);
  readonly #mostPages: number;

  constructor(mostPages: number) {
    this.#mostPages = mostPages;
  }

  get byteLength(): number {
    return this.bytes.length;
  }

  grow(pages: number): void {
    const byteLength = this.bytes.length + pages * 65536;
    if (byteLength > this.#mostPages * 65536) throw new RangeError("cannot grow");
    const larger = new Uint8Array(byteLength);
    larger.set(this.bytes);
    this.bytes = larger;
  }

  clear(start: number, end: number): void {
    this.bytes.fill(0, start, end);
  }
}

it("gives places that are zeroed, aligned and apart, and takes them back", () => {
  const step = fc.record({
    size: fc.integer({ min: 0, max: 200_000 }),
    freed: fc.integer({ min: 0, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const space = new ArraySpace(1024);
      const heap = new Heap(space);
      const live: { address: number; size: number }[] = [];
      for (const { size, freed } of steps) {
        const address = heap.allocate(size);
        expect(address % 64).toBe(0);
        expect(space.bytes.subarray(address, address + size).every((byte) => byte === 0)).toBe(true);
        for (const other of live)
          expect(address + size <= other.address || other.address + other.size <= address).toBe(true);
        space.bytes.fill(255, address, address + size);
        live.push({ address, size });
        const [gone] = freed < live.length ? live.splice(freed, 1) : [];
        if (gone) heap.free(gone.address, gone.size);
      }
      for (const { address, size } of live) heap.free(address, size);
      // All neighbours were joined: what was there is one place again.
      const { byteLength } = space;
      if (byteLength === 65536) return;
      heap.allocate(byteLength - 65536);
      expect(space.byteLength).toBe(byteLength);
    }),
    { numRuns: 200 },
  );
});

it("leaves what was there to whoever writes it all", () => {
  const space = new ArraySpace(16);
  const heap = new Heap(space);
  const first = heap.allocate(1000);
  space.bytes.fill(7, first, first + 1000);
  heap.free(first, 1000);
  const again = heap.allocate(1000, false);
  expect([again, space.bytes[again]]).toEqual([first, 7]);
  heap.free(again, 1000);
  expect(space.bytes[heap.allocate(1000)]).toBe(0);
});

it("says how much it holds when it cannot grow", () => {
  const space = new ArraySpace(1024);
  const heap = new Heap(space);
  heap.allocate(1 << 20);
  expect(() => heap.allocate(2 ** 32)).toThrow(/holds \d+ MiB and cannot get 4096 MiB more/);
  expect(heap.allocate(64)).toBeGreaterThan(0);
});
