/** What every answer of OpenAI's API carries: its id and date, and how many tokens it took. */

import type { GenerationResult } from "../../generate/generate.ts";
import { randomId } from "../../shared/random-id.ts";
import type { ServerContext } from "../context.ts";

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

export function usageOf({ promptIds, timings }: GenerationResult): Usage {
  const { predicted_n: made, cache_n: cached } = timings;
  return {
    prompt_tokens: promptIds.length,
    completion_tokens: made,
    total_tokens: promptIds.length + made,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

/** The usage with that of a further choice for the same prompt, whose tokens OpenAI's API counts once. */
export function addUsage(sum: Usage | undefined, more: Usage): Usage {
  if (sum === undefined) return more;
  const completion = sum.completion_tokens + more.completion_tokens;
  return { ...sum, completion_tokens: completion, total_tokens: sum.prompt_tokens + completion };
}

/** The usage with that of another prompt. */
export function addPrompt(sum: Usage | undefined, more: Usage): Usage {
  if (sum === undefined) return more;
  const cached = sum.prompt_tokens_details.cached_tokens + more.prompt_tokens_details.cached_tokens;
  return {
    prompt_tokens: sum.prompt_tokens + more.prompt_tokens,
    completion_tokens: sum.completion_tokens + more.completion_tokens,
    total_tokens: sum.total_tokens + more.total_tokens,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

/** @param prefix of the id: `chatcmpl-`, `cmpl-`. */
export function identify(
  context: ServerContext,
  prefix: string,
): { readonly id: string; readonly created: number; readonly system_fingerprint: string } {
  return {
    id: prefix + randomId(),
    created: Math.floor(Date.now() / 1000),
    system_fingerprint: context.fingerprint,
  };
}
