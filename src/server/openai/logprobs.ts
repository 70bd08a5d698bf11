/**
 * Log-probabilities in OpenAI's two shapes: a list of tokens (chat), and parallel lists (completions).
 *
 * Flow: GeneratedToken, prompt log-probabilities → JSON.
 */
import type { LogProbability } from "../../generate/log-probabilities.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

interface TokenText {
  /** The token's text; what is no whole character shows as U+FFFD. */
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatLogprob extends TokenText {
  readonly top_logprobs: readonly TokenText[];
}

/** A token and its chances, generated or of the prompt. */
export interface ScoredToken {
  readonly id: number;
  /** NaN for the first token of a text, which follows nothing. */
  readonly logProbability: number;
  readonly alternatives: readonly LogProbability[];
}

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[] | null;
  readonly text_offset: readonly number[];
}

export function chatLogprob(tokenizer: Tokenizer, token: ScoredToken): ChatLogprob {
  return {
    ...tokenText(tokenizer, token),
    top_logprobs: token.alternatives.map((alternative) => tokenText(tokenizer, alternative)),
  };
}

/** @param count of alternatives that were asked for; 0 gives none. @param offset of the first token in the text. */
export function completionLogprobs(
  tokenizer: Tokenizer,
  tokens: readonly ScoredToken[],
  count: number,
  offset: number,
): CompletionLogprobs {
  const texts = tokens.map(({ id }) => textOf(tokenizer, id));
  let next = offset;
  return {
    tokens: texts,
    token_logprobs: tokens.map(({ logProbability }) =>
      Number.isNaN(logProbability) ? null : logProbability,
    ),
    top_logprobs:
      count === 0
        ? null
        : tokens.map((token) => (Number.isNaN(token.logProbability) ? null : topOf(tokenizer, token))),
    text_offset: texts.map((text, index) => {
      const at = next;
      // A control token shows its name in the list, but nothing in the text.
      if (tokenizer.kindOf(tokens[index].id) !== "control") next += text.length;
      return at;
    }),
  };
}

/** The likeliest tokens by text, and the token itself, as OpenAI adds it where it is not among them. */
function topOf(
  tokenizer: Tokenizer,
  { id, logProbability, alternatives }: ScoredToken,
): Record<string, number> {
  const top: Record<string, number> = {};
  // Two ids can show as one text, halves of characters above all: the likelier one, which comes first, stands for both.
  for (const alternative of alternatives)
    top[textOf(tokenizer, alternative.id)] ??= alternative.logProbability;
  top[textOf(tokenizer, id)] ??= logProbability;
  return top;
}

function tokenText(tokenizer: Tokenizer, { id, logProbability }: LogProbability): TokenText {
  return { token: textOf(tokenizer, id), logprob: logProbability, bytes: [...tokenizer.bytesOf(id)] };
}

const decoder = new TextDecoder();

/** A token's text; the name of one that has none. */
export function textOf(tokenizer: Tokenizer, id: number): string {
  const bytes = tokenizer.bytesOf(id);
  return bytes.length === 0 ? tokenizer.pieceOf(id) : decoder.decode(bytes);
}
