/**
 * The plain TypeScript device: runs the ops' own reference code on the caller's thread. It is the definition that the
 * other devices are tested against, and what remains where WebAssembly is missing.
 */
import { type OpArgs, type OpName, ops } from "../../ops/index.ts";
import type { Views } from "../../ops/op.ts";
import { CriaError } from "../../shared/errors.ts";
import { nextTurn } from "../../shared/next-turn.ts";
import { type Device, Recorder } from "../../tensor/device.ts";
import { isTensor, type Memory } from "../../tensor/tensor.ts";
import { View } from "../../tensor/view.ts";

/** A token of a 135M model takes about 0.15 s here: eight keep an abort within some two seconds. */
const PREFILL_ROWS = 8;

/** A device that needs nothing but JavaScript. */
export function createReferenceDevice(): Device {
  const memories = new Map<Memory, Uint8Array<ArrayBuffer>>();

  const bytesOf = (memory: Memory): Uint8Array<ArrayBuffer> => {
    const bytes = memories.get(memory);
    if (!bytes) throw new CriaError("disposed", "the memory was freed, or belongs to another device");
    return bytes;
  };

  const lower = <Name extends OpName>(name: Name, args: OpArgs[Name]): (() => void) => {
    ops[name].check(args);
    const views = Object.fromEntries(
      Object.entries(args).map(([key, value]) => [
        key,
        isTensor(value) ? new View(value, bytesOf(value.memory)) : value,
      ]),
    ) as Views<OpArgs[Name]>;
    return () => ops[name].reference(views);
  };

  const recorder = new Recorder<() => void>(lower, (calls) => {
    for (const call of calls) call();
  });

  return {
    name: "reference",
    prefillRows: PREFILL_ROWS,
    allocate(byteLength) {
      const memory: Memory = { byteLength };
      memories.set(memory, new Uint8Array(byteLength));
      return memory;
    },
    free(memory) {
      memories.delete(memory);
    },
    write(memory, bytes, byteOffset = 0) {
      bytesOf(memory).set(bytes, byteOffset);
    },
    async read(memory, byteOffset = 0, byteLength = memory.byteLength - byteOffset) {
      await nextTurn();
      return bytesOf(memory).slice(byteOffset, byteOffset + byteLength);
    },
    run: (name, args) => recorder.run(name, args),
    record: (body) => recorder.record(body),
    replay: (plan) => recorder.replay(plan),
    freePlan: () => {},
    dispose: () => memories.clear(),
  };
}
