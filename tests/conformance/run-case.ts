/** Runs a case on a device. Knows no test framework: tests/browser/conformance-app runs it in a page. */
import type { OpArgs, OpName } from "../../src/ops/index.ts";
import type { Device } from "../../src/tensor/device.ts";
import { type Case, cases } from "./cases.ts";
import { Place } from "./place.ts";

/** Every case with the name of its op. */
export const allCases: readonly { readonly op: OpName; readonly name: string }[] = (
  Object.keys(cases) as OpName[]
).flatMap((op) => cases[op].map(({ name }) => ({ op, name })));

export function caseOf(op: OpName, name: string): Case<OpName> {
  const found = cases[op].find((one) => one.name === name);
  if (!found) throw new Error(`no case ${name} of ${op}`);
  return found as Case<OpName>;
}

/** The outputs of a case, run at once. */
export async function runCase(device: Device, op: OpName, name: string): Promise<Uint8Array[]> {
  const place = new Place(device);
  const { args, outputs } = await caseOf(op, name).setup(place);
  device.run(op, args as OpArgs[OpName]);
  return Promise.all(outputs.map((tensor) => place.read(tensor)));
}

/** A hash of each case's outputs, by op and name: equal hashes are equal bits. */
export async function hashCases(device: Device): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const { op, name } of allCases) {
    const outputs = await runCase(device, op, name);
    const digest = await crypto.subtle.digest("SHA-256", await new Blob(outputs as BlobPart[]).arrayBuffer());
    hashes[`${op}: ${name}`] = Array.from(new Uint8Array(digest, 0, 8), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
  }
  return hashes;
}
