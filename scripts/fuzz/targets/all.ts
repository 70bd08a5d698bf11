/** Every reader that the fuzzer knows. */
import type { FuzzTarget } from "../target.ts";
import { llama2cTarget } from "./llama2c.ts";
import { paramsTarget, pickleTarget, pthTarget } from "./pth.ts";

export const fuzzTargets: readonly FuzzTarget[] = [llama2cTarget, pthTarget, pickleTarget, paramsTarget];
