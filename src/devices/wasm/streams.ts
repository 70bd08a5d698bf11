/**
 * In how many streams products with few tokens read their weights (kernels/multiply-packed.ts). Many give a third on a
 * processor that does not read far ahead by itself, and may cost a little on others, so it is found out by timing: not when a
 * device starts, when no weights are there that no cache has, but on the first steps with them, which are done either way
 * in turns.
 */

/** Weights that no processor has in its second cache, so that a step reads most of them from memory. */
const COLD_BYTES = 8 << 20;
/**
 * Steps that are compared: with one way, twice with the other, again with the first. Steps become slower as the context
 * grows, which this takes out.
 */
const ROUND = 4;
/** Rounds, not counted, in which the engine compiles the loops with its best compiler. */
const WARM_UP_ROUNDS = 4;
const ROUNDS = 7;

export interface TimedPlan {
  /** Bytes of packed weights that are multiplied with few tokens. */
  readonly fewRowsBytes: number;
}

/** Runs plans, the first ones with few streams and with many; then in the way that was faster more often. */
export class StreamsChoice {
  readonly #set: (many: boolean) => void;
  readonly #now: () => number;
  #many = false;
  #rounds = -WARM_UP_ROUNDS;
  #wins = 0;
  /** Of the round: its plan, how many of its steps are done, and how much longer those took that had few streams. */
  #plan: TimedPlan | undefined;
  #steps = 0;
  #saved = 0;

  /**
   * @param set puts it into effect for the plans that follow
   * @param given what was decided already, if anything
   */
  constructor(set: (many: boolean) => void, given?: boolean, now: () => number = () => performance.now()) {
    this.#set = set;
    this.#now = now;
    if (given === undefined) return;
    this.#rounds = ROUNDS;
    this.#change(given);
  }

  /** Whether plans have many streams from now on; undefined as long as it is not known. */
  get decision(): boolean | undefined {
    return this.#rounds === ROUNDS ? this.#many : undefined;
  }

  /** Runs a plan, and times it where that is of use. */
  run(plan: TimedPlan, run: () => Promise<void> | undefined): Promise<void> | undefined {
    if (this.decision !== undefined || plan.fewRowsBytes < COLD_BYTES) return run();
    const start = this.#now();
    const running = run();
    if (!running) this.#took(plan, this.#now() - start);
    return running?.then(() => this.#took(plan, this.#now() - start));
  }

  #took(plan: TimedPlan, milliseconds: number): void {
    if (plan !== this.#plan) this.#begin(plan);
    this.#saved += this.#many ? -milliseconds : milliseconds;
    this.#steps++;
    if (this.#steps === 1 || this.#steps === 3) this.#change(!this.#many);
    if (this.#steps < ROUND) return;
    this.#rounds++;
    if (this.#rounds > 0 && this.#saved > 0) this.#wins++;
    this.#begin(plan);
    if (this.#rounds === ROUNDS) this.#change(this.#wins > ROUNDS / 2);
  }

  #begin(plan: TimedPlan): void {
    this.#plan = plan;
    this.#steps = 0;
    this.#saved = 0;
  }

  #change(many: boolean): void {
    this.#many = many;
    this.#set(many);
  }
}
