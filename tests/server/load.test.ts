/** A short run of scripts/load-server.ts: many clients, a third of them leaving, no wrong text, nothing left behind. */
import { expect, it } from "vitest";
import { runLoad } from "../../scripts/load/run.ts";
import { metric, start } from "./start.ts";

it("gives every client the text that its request gives alone, while others leave", async () => {
  await using server = await start();
  const variety = 12;
  const report = await runLoad(server.url, {
    connections: 40,
    seconds: 4,
    cutShare: 0.33,
    seed: 1,
    variety,
    maxTokens: 24,
  });
  expect(report.wrong).toEqual([]);
  expect(report.failures).toEqual([]);
  expect(report.completed).toBeGreaterThan(20);
  expect(report.cut).toBeGreaterThan(5);
  await expect.poll(() => metric(server.url, "num_requests_running")).toBe(0);
  const ended = (reason: string) =>
    metric(server.url, "request_success_total", `finished_reason="${reason}"`);
  const whole = (await ended("stop")) + (await ended("length"));
  const aborted = await ended("abort");
  expect(await ended("error")).toBe(0);
  // A client that leaves may have had its whole answer already, or may leave before its request is read.
  expect(whole).toBeGreaterThanOrEqual(report.completed + variety);
  expect(whole + aborted).toBeLessThanOrEqual(report.completed + report.cut + variety);
  expect(aborted).toBeGreaterThan(0);
  expect(await metric(server.url, "generation_tokens_total")).toBeGreaterThanOrEqual(report.tokens);
  expect(server.errors).toEqual([]);
});
