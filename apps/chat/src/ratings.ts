/** A thumb as a record for training, with all that it was given for. */
import type { Rating } from "../../../src/feedback/rating.ts";
import { type Chat, type ChatNode, type Feedback, promptOf } from "./tree.ts";

/** What a person agrees to; kept with each rating. */
export const CONSENT = "Keep this conversation and my rating for training models.";

interface Given {
  readonly feedback: Feedback;
  /** SHA-256 of the model's files; "" for the server's model, which it knows itself. */
  readonly hash: string;
}

export function ratingOf(chat: Chat, node: ChatNode, { feedback, hash }: Given): Rating {
  const { origin } = node;
  return {
    id: node.id,
    time: Date.now(),
    model: { name: origin?.model ?? "", hash },
    settings: origin?.settings ?? {},
    prompt: promptOf(chat, node),
    answer: node.content,
    liked: feedback.liked,
    reason: feedback.reason,
    better: feedback.better,
    consent: CONSENT,
  };
}
