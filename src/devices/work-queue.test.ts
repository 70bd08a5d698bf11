import { expect, it } from "vitest";
import { WorkQueue } from "./work-queue.ts";

it("does work at once while nothing is under way, then in order", async () => {
  const queue = new WorkQueue();
  const done: string[] = [];
  const slow = Promise.withResolvers<void>();
  queue.add(() => void done.push("first"));
  expect(done).toEqual(["first"]);
  queue.add(() => slow.promise);
  queue.add(() => void done.push("second"));
  expect(queue.busy).toBe(true);
  expect(done).toEqual(["first"]);
  slow.resolve();
  await queue.idle();
  expect(done).toEqual(["first", "second"]);
  expect(queue.busy).toBe(false);
});

it("fails everything after a failure", async () => {
  const queue = new WorkQueue();
  const failure = new Error("lost");
  queue.add(() => Promise.reject(failure));
  queue.add(() => {
    throw new Error("must not run");
  });
  await expect(queue.idle()).rejects.toBe(failure);
  await expect(queue.idle()).rejects.toBe(failure);
  expect(() => queue.add(() => {})).toThrow(failure);
});

it("fails for those who wait when work that comes after other work throws", async () => {
  const queue = new WorkQueue();
  const slow = Promise.withResolvers<void>();
  queue.add(() => slow.promise);
  queue.add(() => {
    throw new Error("at once");
  });
  const idle = queue.idle();
  slow.resolve();
  await expect(idle).rejects.toThrow("at once");
  expect(queue.failed).toBe(true);
  expect(() => queue.add(() => {})).toThrow("at once");
});
