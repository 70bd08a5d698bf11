/** Weights that end where the memory does: products read nothing behind them, and no address overflows. */
import { expect, it } from "vitest";
import { chooseBinary } from "./binary.ts";
import { controlBytes, handshakeWords, MANY_STREAMS } from "./handshake.ts";
import * as codes from "./kernels/codes.ts";
import { planBytes, writePlan } from "./lower.ts";
import { createMemory, instantiate } from "./module.ts";
import { HALF_CONSTANTS, ONES } from "./words.ts";

const PAGE = 65536;
const COLUMNS = 1024;
const SCRATCH_BYTES = 2048;
/** Of groups of 8 rows: as many as are multiplied side by side, fewer, and some times as many. */
const groupCounts = [1, 2, 7, 12, 13, 24, 40];

it.each([
  ["of a megabyte", 16],
  ["of 4 GiB", 65536],
])("in a memory %s", async (_, pages) => {
  const { module, modes } = await chooseBinary(true, true);
  const memory = createMemory(true);
  memory.grow(pages - 1);
  const kernels = instantiate(module, memory);
  // In the second page, as the module's constants are in the first: control words, the plan, and what the product has
  // besides weights, which is zeros.
  const control = PAGE;
  handshakeWords(memory, control)[MANY_STREAMS] = 1;
  const plan = control + Math.ceil(controlBytes(1) / 128) * 128;
  const count = plan + planBytes(1);
  const scratch = count + 64;
  const y = scratch + SCRATCH_BYTES;
  const records = y + 4 * 8 * Math.max(...groupCounts);
  expect(records + 64 * (COLUMNS / 32)).toBeLessThan(2 * PAGE);
  new Int32Array(memory.buffer, count, 1)[0] = 1;
  for (const groups of groupCounts)
    for (const mode of modes) {
      const w = pages * PAGE - groups * kernels.groupBytes(codes.Q4_0, COLUMNS);
      const outputs = new Float32Array(memory.buffer, y, 8 * groups).fill(1);
      writePlan(new Uint8Array(memory.buffer), plan, [
        Int32Array.from([
          ...[codes.MULTIPLY_PACKED, records, 0, w, codes.Q4_0, 8 * groups, COLUMNS, y, 32 * groups],
          ...[0, 0, count, 0, mode, ONES, scratch, SCRATCH_BYTES, ...HALF_CONSTANTS],
        ]),
      ]);
      kernels.walk(control, plan, 0, 1);
      expect({ groups, mode, outputs: [...outputs] }).toEqual({
        groups,
        mode,
        outputs: Array(8 * groups).fill(0),
      });
    }
});
