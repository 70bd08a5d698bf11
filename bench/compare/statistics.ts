/** Medians and how far samples lie from them. */

/** A median of samples and half the distance between their quartiles. */
export interface Summary {
  readonly median: number;
  readonly spread: number;
}

/** The value below which `share` of the samples lie, between two samples in proportion. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)];
  return low + (at - Math.floor(at)) * (sorted[Math.ceil(at)] - low);
}

export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), spread: (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 2 };
}
