/** llama2.c model files, all versions. */
import { memorySource } from "../../../src/files/byte-source.ts";
import { openLlama2c } from "../../../src/files/llama2c/read.ts";
import { buildLlama2c, smallShape } from "../../../tests/builders/llama2c.ts";
import { readTensors } from "../read-tensors.ts";
import type { FuzzTarget } from "../target.ts";

export const llama2cTarget: FuzzTarget = {
  name: "llama2c",
  seeds: () =>
    ([0, 1, 2] as const).flatMap((version) =>
      [true, false].map((tied) => buildLlama2c(version, { ...smallShape, tied }).bytes),
    ),
  async run(bytes) {
    await readTensors(await openLlama2c(memorySource(bytes, "fuzz.bin")));
  },
};
