/**
 * Makes a conversation fit the context: leaves out the oldest turns, whole.
 *
 * A turn is a user message and all that follows it up to the next one. The system messages and the last turn always
 * stay; of the others as many of the newest as fit.
 *
 * Flow: messages → fitMessages → ChatFormat → ids; what was left out → the chat, which says so.
 */
import { CriaError } from "../../shared/errors.ts";
import type { ChatEncodeOptions, ChatFormat } from "./chat-format.ts";
import type { ChatMessage } from "./messages.ts";

export interface FittedMessages {
  readonly ids: number[];
  /** Messages that had to be left out, oldest first. */
  readonly dropped: readonly ChatMessage[];
}

/**
 * The prompt of the conversation in at most `limit` ids.
 *
 * @throws {CriaError} "context-full" when the system messages and the last turn alone are too long.
 */
export function fitMessages(
  format: ChatFormat,
  messages: readonly ChatMessage[],
  limit: number,
  options: ChatEncodeOptions = {},
): FittedMessages {
  const starts = [...messages.keys()].filter((index) => messages[index].role === "user");
  /** The conversation without its first `turns` turns. */
  const without = (turns: number) => {
    const isDropped = (message: ChatMessage, index: number) =>
      message.role !== "system" && index >= starts[0] && index < starts[turns];
    return {
      ids: format.encode(
        turns === 0 ? messages : messages.filter((message, index) => !isDropped(message, index)),
        options,
      ),
      dropped: turns === 0 ? [] : messages.filter(isDropped),
    };
  };

  const whole = without(0);
  if (whole.ids.length <= limit) return whole;
  // The fewest turns to leave out, by halving: encoding a long conversation once for each turn would be slow.
  let tooFew = 0;
  let enough = Math.max(0, starts.length - 1);
  let best = without(enough);
  if (best.ids.length > limit)
    throw new CriaError(
      "context-full",
      `the last message takes ${best.ids.length} tokens with all that must go with it, but there is room for ${limit}`,
    );
  while (enough - tooFew > 1) {
    const turns = (tooFew + enough) >> 1;
    const fitted = without(turns);
    if (fitted.ids.length <= limit) {
      best = fitted;
      enough = turns;
    } else tooFew = turns;
  }
  return best;
}
