/**
 * Cria as a server: one function from a Request to a Response, with OpenAI's API and Ollama's.
 *
 *   import { createServer } from "cria/server";
 *   const { fetch } = createServer({ model });
 */
export type { KeptChat, PageStore } from "../feedback/page-store.ts";
export { type Preference, preferencesOf, type RatedMessage, type Rating } from "../feedback/rating.ts";
export type { ModelDetails, ServerContext, ServerOptions } from "./context.ts";
export { type CriaServer, createServer } from "./create-server.ts";
export type { Endpoint } from "./endpoint.ts";
export type { PageFiles } from "./page.ts";
export { pageEndpoints } from "./page-data.ts";
