/**
 * POST /v1/embeddings: texts or lists of token ids as vectors of length 1, as numbers or as base64 of 32-bit floats.
 *
 * Flow: EmbeddingRequest → ids → Model.embed → JSON.
 */
import type { Model } from "../../generate/model.ts";
import { requestScope, within } from "../answer.ts";
import type { ServerContext } from "../context.ts";
import { RequestError } from "../http/errors.ts";
import type { EmbeddingRequest } from "./requests.ts";

export async function embeddings(
  context: ServerContext,
  request: Request,
  body: EmbeddingRequest,
): Promise<Response> {
  const model = context.modelFor(body.model);
  checkDimensions(model, body.dimensions);
  const lists = inputIds(model, body.input);
  const vectors = await embedAll(context, request, model, lists);
  const tokens = lists.reduce((sum, ids) => sum + ids.length, 0);
  const write = body.encoding_format === "base64" ? base64Of : (vector: Float32Array) => Array.from(vector);
  return Response.json({
    object: "list",
    model: body.model ?? context.name(),
    data: vectors.map((vector, index) => ({ object: "embedding", index, embedding: write(vector) })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

/** The vectors of all inputs, unless the client leaves before. */
export async function embedAll(
  context: ServerContext,
  request: Request,
  model: Model,
  lists: readonly (readonly number[])[],
): Promise<Float32Array[]> {
  const scope = requestScope(context, request);
  const leave = context.metrics.occupy();
  const vectors: Float32Array[] = [];
  let next = 0;
  // No more than a few at a time: others wait for each of them, not for the whole batch.
  const worker = async () => {
    while (next < lists.length) {
      const at = next++;
      [vectors[at]] = await model.embed([lists[at]], { signal: scope.signal });
    }
  };
  try {
    const workers = Array.from({ length: Math.min(context.parallel, lists.length) }, worker);
    await within(scope, Promise.all(workers));
    return vectors;
  } catch (error) {
    // The other workers end as well.
    scope.abort();
    throw error;
  } finally {
    leave();
  }
}

/** @throws {RequestError} 400: the vectors of this model cannot be shortened. */
export function checkDimensions(model: Model, dimensions: number | undefined): void {
  if (dimensions !== undefined && dimensions !== model.config.width)
    throw new RequestError(400, `dimensions: this model's vectors have ${model.config.width} numbers`, {
      param: "dimensions",
    });
}

/**
 * The ids of each input.
 *
 * @param truncate cut what is too long instead of refusing it.
 */
export function inputIds(model: Model, input: EmbeddingRequest["input"], truncate = false): number[][] {
  const isBatch = typeof input === "object" && typeof input[0] !== "number";
  const list = (isBatch ? input : [input]) as readonly (string | readonly number[])[];
  return list.map((item, index) => {
    const param = isBatch ? `input[${index}]` : "input";
    const ids = [...model.promptOf(item).ids];
    if (ids.length === 0) throw new RequestError(400, `${param}: expected at least one token`, { param });
    for (const id of ids)
      if (id >= model.config.vocabularySize)
        throw new RequestError(
          400,
          `${param}: token ${id} is outside the vocabulary of ${model.config.vocabularySize}`,
          { param },
        );
    if (ids.length > model.contextLength && !truncate)
      throw new RequestError(
        400,
        `${param}: ${ids.length} tokens do not fit the context of ${model.contextLength}`,
        {
          param,
          code: "context_length_exceeded",
        },
      );
    return ids.slice(0, model.contextLength);
  });
}

/** Little-endian floats, as OpenAI's clients decode them. */
function base64Of(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(4 * vector.length));
  for (const [index, value] of vector.entries()) view.setFloat32(4 * index, value, true);
  let bytes = "";
  for (const byte of new Uint8Array(view.buffer)) bytes += String.fromCharCode(byte);
  return btoa(bytes);
}
