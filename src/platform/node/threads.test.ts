import { readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { expect, test } from "vitest";
import { createWasmDevice } from "../../devices/wasm/device.ts";
import { startThread } from "./threads.ts";

test.skipIf(process.platform !== "linux")(
  "the engine's threads stand back, the caller's does not",
  async () => {
    const before = getPriority();
    const expected = Math.max(before, 5);
    const others = threadsAt(expected);
    const device = await createWasmDevice({ startThread, threadCount: 2 });
    await expect.poll(() => threadsAt(expected)).toBe(others + 2);
    expect(getPriority()).toBe(before);
    device.dispose();
  },
);

/** How many threads of this process have a `nice` of so much: field 19 of proc's stat, the second of which has brackets. */
function threadsAt(nice: number): number {
  return readdirSync("/proc/self/task").filter((id) => {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]) === nice;
  }).length;
}
