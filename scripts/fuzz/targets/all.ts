/** Every reader that the fuzzer knows. */
import type { FuzzTarget } from "../target.ts";
import { ggufTarget } from "./gguf.ts";
import { jinjaTarget } from "./jinja.ts";
import { llama2cTarget } from "./llama2c.ts";
import { paramsTarget, pickleTarget, pthTarget } from "./pth.ts";
import { safetensorsJsonTarget, safetensorsTarget } from "./safetensors.ts";
import { sentencePieceTarget, tokenizerBinTarget, tokenizerJsonTarget } from "./tokenizers.ts";

export const fuzzTargets: readonly FuzzTarget[] = [
  ggufTarget,
  safetensorsTarget,
  safetensorsJsonTarget,
  pthTarget,
  pickleTarget,
  paramsTarget,
  llama2cTarget,
  sentencePieceTarget,
  tokenizerBinTarget,
  tokenizerJsonTarget,
  jinjaTarget,
];
