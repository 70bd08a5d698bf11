/**
 * Where the chat page keeps its conversations and ratings when a server gives it: addresses under /page.
 *
 * Flow: PageStore → pageEndpoints → createServer's `endpoints`.
 */
import { z } from "@hono/zod-openapi";
import type { KeptChat, PageStore } from "../feedback/page-store.ts";
import { preferenceLines, type Rating } from "../feedback/rating.ts";
import { type Endpoint, get, post } from "./endpoint.ts";

/** A conversation with the probabilities of all its tokens is long. */
const CHAT_BYTES = 32 * 2 ** 20;

const id = z.string().min(1).max(100);
const keptChat: z.ZodType<KeptChat> = z
  .looseObject({ id, changed: z.int().min(0) })
  .openapi({ description: "A conversation as the page writes it" });

const message = z.strictObject({ role: z.enum(["system", "user", "assistant"]), content: z.string() });
const ratingRequest: z.ZodType<Rating> = z.strictObject({
  id,
  time: z.int().min(0).openapi({ description: "Unix time in milliseconds" }),
  model: z.strictObject({
    name: z.string().max(1000),
    hash: z
      .string()
      .max(128)
      .openapi({ description: "SHA-256 of the model's files; empty: that of the model served here" }),
  }),
  settings: z.record(z.string().max(100), z.number()),
  prompt: z.array(message).min(1),
  answer: z.string(),
  liked: z.boolean(),
  reason: z.string(),
  better: z.string(),
  consent: z.string().min(1).openapi({ description: "The sentence that the person agreed to" }),
});

const done = () => new Response(null, { status: 204 });

export function pageEndpoints(store: PageStore): Endpoint[] {
  return [
    get("/page/chats", "Page", "List the conversations.", () => Response.json(store.chats())),
    {
      ...post("/page/chats", "Page", "Keep a conversation.", keptChat, (_, { body }) => {
        store.saveChat(body);
        return done();
      }),
      bodyBytes: CHAT_BYTES,
    },
    remove("/page/chats/:id", "Forget a conversation.", (chat) => store.removeChat(chat)),
    get("/page/ratings", "Page", "List the ratings.", () => Response.json(store.ratings())),
    post("/page/ratings", "Page", "Keep a rating.", ratingRequest, async (context, { body }) => {
      const { name, hash } = body.model;
      store.saveRating({ ...body, model: { name, hash: hash === "" ? await context.hash() : hash } });
      return done();
    }),
    remove("/page/ratings/:id", "Forget a rating.", (rating) => store.removeRating(rating)),
    get("/page/preferences.jsonl", "Page", "Ratings as preferences to train with.", () => {
      const headers = {
        "content-type": "application/jsonl; charset=utf-8",
        "content-disposition": 'attachment; filename="preferences.jsonl"',
      };
      return new Response(preferenceLines(store.ratings()), { headers });
    }),
  ];
}

function remove(path: string, summary: string, forget: (id: string) => void): Endpoint {
  return {
    ...{ method: "delete", path, tag: "Page", summary },
    handle(_, { params }) {
      forget(params.id);
      return done();
    },
  };
}
