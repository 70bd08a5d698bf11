import { expect, it } from "vitest";
import { StreamsChoice } from "./streams.ts";

/** Runs a plan so often, on a processor of which is given how long the plan takes there in either way. */
function choose(
  milliseconds: (many: boolean, run: number) => number,
  { runs = 100, fewRowsBytes = 100e6, given }: { runs?: number; fewRowsBytes?: number; given?: boolean } = {},
): { readonly decision: boolean | undefined; readonly ways: boolean[] } {
  let time = 0;
  let many = false;
  const ways: boolean[] = [];
  const choice = new StreamsChoice(
    (now) => {
      many = now;
    },
    given,
    () => time,
  );
  const plan = { fewRowsBytes };
  for (let run = 0; run < runs; run++)
    choice.run(plan, () => {
      ways.push(many);
      time += milliseconds(many, run);
      return undefined;
    });
  return { decision: choice.decision, ways };
}

it("takes the way that is faster, whichever that is", () => {
  expect(choose((many) => (many ? 2 : 3)).decision).toBe(true);
  expect(choose((many) => (many ? 3 : 2)).decision).toBe(false);
});

it("stays with it", () => {
  const { ways } = choose((many) => (many ? 2 : 3));
  expect(ways.slice(-56)).toEqual(Array(56).fill(true));
});

it("is not misled by steps that become slower, nor by the first ones", () => {
  const growing = (run: number) => 10 + run;
  expect(choose((many, run) => growing(run) - (many ? 0.2 : 0)).decision).toBe(true);
  expect(choose((many, run) => growing(run) + (many ? 0.2 : 0)).decision).toBe(false);
  expect(choose((many, run) => (run < 12 === many ? 9 : 2)).decision).toBe(true);
});

it("times no plan whose weights caches may hold", () => {
  const { decision, ways } = choose((many) => (many ? 2 : 3), { fewRowsBytes: 1e6 });
  expect(decision).toBeUndefined();
  expect(ways).not.toContain(true);
});

it("leaves what was given", () => {
  const { decision, ways } = choose((many) => (many ? 3 : 2), { given: true });
  expect(decision).toBe(true);
  expect(ways).not.toContain(false);
});

it("compares runs of the same plan only", () => {
  let time = 0;
  const choice = new StreamsChoice(
    () => {},
    undefined,
    () => time,
  );
  const plans = [{ fewRowsBytes: 50e6 }, { fewRowsBytes: 60e6 }];
  for (let run = 0; run < 100; run++)
    choice.run(plans[run % 2], () => {
      time += 1;
      return undefined;
    });
  expect(choice.decision).toBeUndefined();
});

it("counts what runs on other threads when it is done", async () => {
  let time = 0;
  let many = false;
  const choice = new StreamsChoice(
    (now) => {
      many = now;
    },
    undefined,
    () => time,
  );
  const plan = { fewRowsBytes: 50e6 };
  for (let run = 0; run < 100; run++)
    await choice.run(plan, async () => {
      await Promise.resolve();
      time += many ? 1 : 2;
    });
  expect(choice.decision).toBe(true);
});
