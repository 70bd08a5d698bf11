/**
 * How fast each pair of channels turns, in radians per position: the table that `rope` reads.
 *
 *   frequency[i] = base^(−2i / ropeLength) / factor[i]
 *
 * `factor` is 1, or the scaling of a longer context. GGUF files of Llama 3.1 store the factors as a tensor.
 *
 * Source: Su et al. 2021; Llama 3.1's scaling as in llama-models and transformers.
 */
import type { ModelConfig, RopeScaling } from "./config.ts";

/** [ropeLength / 2] f32. `stored` is the file's rope_freqs tensor, which then replaces the config's scaling. */
export function ropeFrequencies(config: ModelConfig, stored?: Float32Array): Float32Array {
  const factors = stored ?? ropeFactors(config);
  return Float32Array.from({ length: config.ropeLength / 2 }, (_, i) => {
    return unscaledFrequency(config, i) / (factors?.[i] ?? 1);
  });
}

/** The divisor of each frequency, [ropeLength / 2]; undefined when the model has no scaling. */
export function ropeFactors(config: ModelConfig): Float32Array | undefined {
  const scaling = config.ropeScaling;
  if (scaling.type === "none") return undefined;
  return Float32Array.from({ length: config.ropeLength / 2 }, (_, i) =>
    scaling.type === "linear" ? scaling.factor : llama3Factor(scaling, unscaledFrequency(config, i)),
  );
}

function unscaledFrequency(config: ModelConfig, i: number): number {
  return config.ropeBase ** ((-2 * i) / config.ropeLength);
}

/** Waves shorter than the original context / high factor stay; longer than context / low factor are stretched fully. */
function llama3Factor(scaling: RopeScaling & { type: "llama3" }, frequency: number): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength } = scaling;
  const turnsInContext = (originalContextLength * frequency) / (2 * Math.PI);
  if (turnsInContext > highFrequencyFactor) return 1;
  if (turnsInContext < lowFrequencyFactor) return factor;
  const smooth = (turnsInContext - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
  return 1 / ((1 - smooth) / factor + smooth);
}
