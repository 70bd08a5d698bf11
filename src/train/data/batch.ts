/**
 * What a step of training computes on: windows of tokens, in which several texts can lie one after the other.
 *
 * All lists are rows · length long, window by window.
 *
 * Flow: dataset.ts → Batch → train/pass.ts.
 */
export interface Batch {
  /** Windows. */
  readonly rows: number;
  /** Tokens of a window. */
  readonly length: number;
  readonly tokens: Int32Array;
  /** The token to predict after each token; 0 where nothing counts. */
  readonly targets: Int32Array;
  /** Position within its text: 0 at each text's start. */
  readonly positions: Int32Array;
  /** Index in these lists of the first token of the text, which is the first that a token may see. */
  readonly starts: Int32Array;
  /** 1 where the loss counts, else 0. */
  readonly weights: Float32Array;
}
