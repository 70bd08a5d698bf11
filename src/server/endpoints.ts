/**
 * Everything the server answers to.
 *
 * Flow: createServer → endpoints → handlers in openai/, ollama/ and beside this file.
 */
import { type Endpoint, get, post } from "./endpoint.ts";
import { ollamaChat, ollamaGenerate } from "./ollama/chat.ts";
import { ollamaEmbed, ollamaEmbeddings } from "./ollama/embed.ts";
import { ollamaProcesses, ollamaShow, ollamaTags, ollamaVersion } from "./ollama/lists.ts";
import {
  ollamaChatRequest,
  ollamaEmbeddingsRequest,
  ollamaEmbedRequest,
  ollamaGenerateRequest,
  ollamaShowRequest,
} from "./ollama/requests.ts";
import { chatCompletions } from "./openai/chat-completions.ts";
import { completions } from "./openai/completions.ts";
import { embeddings } from "./openai/embeddings.ts";
import { describeModel, listModels } from "./openai/models.ts";
import { chatRequest, completionRequest, embeddingRequest } from "./openai/requests.ts";
import {
  applyTemplate,
  applyTemplateRequest,
  detokenize,
  detokenizeRequest,
  tokenize,
  tokenizeRequest,
} from "./text-routes.ts";

export const endpoints: readonly Endpoint[] = [
  post("/v1/chat/completions", "OpenAI", "Answer in a conversation.", chatRequest, (context, call) =>
    chatCompletions(context, call.request, call.body),
  ),
  post("/v1/completions", "OpenAI", "Continue texts.", completionRequest, (context, call) =>
    completions(context, call.request, call.body),
  ),
  post("/v1/embeddings", "OpenAI", "Turn texts into vectors.", embeddingRequest, (context, call) =>
    embeddings(context, call.request, call.body),
  ),
  get("/v1/models", "OpenAI", "List the models.", (context) => Response.json(listModels(context))),
  get("/v1/models/:id{.+}", "OpenAI", "Describe a model.", (context, { params }) =>
    Response.json(describeModel(context, params.id)),
  ),
  post("/tokenize", "Text", "Turn text into token ids.", tokenizeRequest, (context, { body }) =>
    Response.json(tokenize(context, body)),
  ),
  post("/detokenize", "Text", "Turn token ids into text.", detokenizeRequest, (context, { body }) =>
    Response.json(detokenize(context, body)),
  ),
  post(
    "/apply-template",
    "Text",
    "Show the prompt of a conversation.",
    applyTemplateRequest,
    (context, call) => Response.json(applyTemplate(context, call.body)),
  ),
  {
    ...get("/health", "Server", "Say whether the model is loaded.", (context) => {
      // Throws what a client has to know while the model is not there.
      context.model();
      return Response.json({ status: "ok" });
    }),
    open: true,
  },
  get("/metrics", "Server", "Counts and times for Prometheus.", async ({ metrics, model }) => {
    const { answering: running, waiting, usedPages, pageCount } = model().statistics;
    return new Response(await metrics.text({ running, waiting, cacheUsage: usedPages / pageCount }), {
      headers: { "content-type": metrics.contentType },
    });
  }),
  post("/api/chat", "Ollama", "Answer in a conversation.", ollamaChatRequest, (context, call) =>
    ollamaChat(context, call.request, call.body),
  ),
  post("/api/generate", "Ollama", "Answer a prompt.", ollamaGenerateRequest, (context, call) =>
    ollamaGenerate(context, call.request, call.body),
  ),
  get("/api/tags", "Ollama", "List the models.", async (context) => Response.json(await ollamaTags(context))),
  get("/api/ps", "Ollama", "List the loaded models.", async (context) =>
    Response.json(await ollamaProcesses(context)),
  ),
  post("/api/embed", "Ollama", "Turn texts into vectors.", ollamaEmbedRequest, (context, call) =>
    ollamaEmbed(context, call.request, call.body),
  ),
  post("/api/embeddings", "Ollama", "Turn a text into a vector.", ollamaEmbeddingsRequest, (context, call) =>
    ollamaEmbeddings(context, call.request, call.body),
  ),
  post("/api/show", "Ollama", "Describe a model.", ollamaShowRequest, (context, { body }) =>
    Response.json(ollamaShow(context, body.model ?? body.name)),
  ),
  get("/api/version", "Ollama", "Say which version of Ollama's API is spoken.", () =>
    Response.json(ollamaVersion()),
  ),
];
