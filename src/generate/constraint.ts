/**
 * What an answer may be: a constraint rules out every token that cannot come next.
 *
 *   constraint.start(where) → state;   each step: state.mask(row), choose, state.accept(id), until state.finished
 *
 * A constraint is compiled once and shared by any number of answers; a state belongs to one answer.
 *
 * Flow: grammar/ → Constraint → generate.ts → ConstraintState → sampler.ts.
 */

/** Where the answer begins and how it may end. */
export interface ConstraintContext {
  /** The answer continues the prompt's text, so a leading space of its first token is kept. */
  readonly continues: boolean;
  /** Tokens that end the answer. */
  readonly endIds: ReadonlySet<number>;
}

export interface Constraint {
  start(context: ConstraintContext): ConstraintState;
}

export interface ConstraintState {
  /**
   * Sets to -Infinity every token that cannot come next; end tokens are kept only where the text may end. `row`
   * [vocabulary] is the sampler's own copy.
   */
  mask(row: Float32Array): void;
  /**
   * Advances by a chosen token.
   *
   * @throws {CriaError} "bad-input" for a token that `mask` bans.
   */
  accept(id: number): void;
  /** True once nothing but the end may follow. */
  readonly finished: boolean;
}
