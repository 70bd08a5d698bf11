/** The end of threads that compute. */
import { expect, it } from "vitest";
import { controlBytes } from "./handshake.ts";
import { createMemory } from "./module.ts";
import { type Thread, workerThreads } from "./threads.ts";

it("threads that were told to end in the midst of a plan are not waited for, though they may go on for a while", async () => {
  const memory = createMemory(true);
  const told: unknown[] = [];
  const thread: Thread = {
    post() {},
    listen() {},
    keepAlive() {},
    async terminate() {
      told.push("end");
      return false;
    },
  };
  expect(controlBytes(2)).toBeLessThan(memory.buffer.byteLength);
  const module = {} as WebAssembly.Module;
  const threads = workerThreads(() => thread, 2, { module, memory, control: 0 });
  const running = threads.run(4096, false);
  const started = performance.now();
  expect(await threads.dispose()).toBe(false);
  expect(performance.now() - started).toBeLessThan(1000);
  expect(told).toEqual(["end", "end"]);
  await expect(running).rejects.toMatchObject({ code: "disposed" });
});
