/**
 * What people think of answers, and the preferences that training makes of it.
 *
 *   a better answer that was written      {prompt, chosen: better, rejected: answer}
 *   one answer liked, another disliked    {prompt, chosen: liked, rejected: disliked}, of the same prompt
 *
 * Flow: the page (thumbs) → Rating → PageStore → preferencesOf → `cria train dpo`.
 */

export interface RatedMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** One answer that a person rated and agreed to give for training. */
export interface Rating {
  /** Of the answer; a later rating of the same answer replaces this one. */
  readonly id: string;
  /** Unix time in milliseconds. */
  readonly time: number;
  /** What answered: its name, and the SHA-256 of its files in hexadecimal, "" where that is not known. */
  readonly model: { readonly name: string; readonly hash: string };
  /** What it was sampled with: `temperature`, `topP` … */
  readonly settings: Readonly<Record<string, number>>;
  /** The conversation that was answered. */
  readonly prompt: readonly RatedMessage[];
  readonly answer: string;
  readonly liked: boolean;
  /** In the person's words; "" for none. */
  readonly reason: string;
  /** A better answer that the person wrote; "" for none. */
  readonly better: string;
  /** The sentence that the person agreed to. Without it nothing is kept, so it is never empty. */
  readonly consent: string;
}

/** A record of preference data, as TRL writes it. */
export interface Preference {
  readonly prompt: readonly RatedMessage[];
  readonly chosen: readonly RatedMessage[];
  readonly rejected: readonly RatedMessage[];
}

/**
 * All pairs of which one answer is better.
 *
 * @example
 * preferencesOf([{ ...rating, answer: "5", liked: false, better: "4" }])
 * // [{ prompt: rating.prompt, chosen: [{ role: "assistant", content: "4" }], rejected: [{ …, content: "5" }] }]
 */
export function preferencesOf(ratings: readonly Rating[]): Preference[] {
  const byPrompt = Map.groupBy(ratings, ({ prompt }) => JSON.stringify(prompt));
  return [...byPrompt.values()].flatMap((group) => {
    const disliked = group.filter(({ liked }) => !liked);
    return group.flatMap((rating) => {
      const { answer, liked } = rating;
      const better = rating.better.trim();
      if (better !== "" && better !== answer) return [pair(rating, better, answer)];
      if (!liked) return [];
      return disliked
        .filter((other) => other.answer !== answer)
        .map((other) => pair(rating, answer, other.answer));
    });
  });
}

/** One JSON object a line: what `cria train dpo` reads. */
export function preferenceLines(ratings: readonly Rating[]): string {
  return preferencesOf(ratings)
    .map((preference) => `${JSON.stringify(preference)}\n`)
    .join("");
}

function pair({ prompt }: Rating, chosen: string, rejected: string): Preference {
  return {
    prompt,
    chosen: [{ role: "assistant", content: chosen }],
    rejected: [{ role: "assistant", content: rejected }],
  };
}
