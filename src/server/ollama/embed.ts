/**
 * POST /api/embed and the older /api/embeddings of Ollama's API.
 *
 * Flow: OllamaEmbedRequest → ids → Model.embed → JSON.
 */
import type { ServerContext } from "../context.ts";
import { checkDimensions, embedAll, inputIds } from "../openai/embeddings.ts";
import type { OllamaEmbedRequest } from "./requests.ts";

export async function ollamaEmbed(
  context: ServerContext,
  request: Request,
  body: OllamaEmbedRequest,
): Promise<Response> {
  const started = performance.now();
  const model = context.modelFor(body.model);
  checkDimensions(model, body.dimensions);
  const { input = [] } = body;
  const isEmpty = input.length === 0;
  const lists = isEmpty ? [] : inputIds(model, input, body.truncate ?? true);
  const vectors = isEmpty ? [] : await embedAll(context, request, model, lists);
  return Response.json({
    model: body.model,
    embeddings: vectors.map((vector) => Array.from(vector)),
    total_duration: Math.round((performance.now() - started) * 1e6),
    load_duration: 0,
    prompt_eval_count: lists.reduce((sum, ids) => sum + ids.length, 0),
  });
}

export async function ollamaEmbeddings(
  context: ServerContext,
  request: Request,
  body: { readonly model: string; readonly prompt: string },
): Promise<Response> {
  const model = context.modelFor(body.model);
  if (body.prompt === "") return Response.json({ embedding: [] });
  const lists = inputIds(model, body.prompt, true);
  const [vector] = await embedAll(context, request, model, lists);
  return Response.json({ embedding: Array.from(vector) });
}
