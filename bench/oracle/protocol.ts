/**
 * What is asked of llama.cpp and what it answers: one JSON object a line, a response for every request, in order.
 *
 * Flow: tests/oracle (request) → llama-cpp.ts, a child process that keeps one model loaded → response.
 */

export interface TokenizeRequest {
  readonly method: "tokenize";
  readonly texts: readonly string[];
  /** Read `<s>`, `<|im_start|>` … in the texts as control tokens. */
  readonly parseSpecial: boolean;
  /** Add the ids before and after a text that llama.cpp adds for this model. */
  readonly addSpecial: boolean;
}

export interface DetokenizeRequest {
  readonly method: "detokenize";
  /** The ids of each text. */
  readonly ids: readonly (readonly number[])[];
  /** Write control tokens as their names. */
  readonly showSpecial: boolean;
}

export interface GreedyRequest {
  readonly method: "greedy";
  /** The prompt, with the beginning-of-text id if the model wants one. */
  readonly ids: readonly number[];
  readonly count: number;
  /** Go on after a token that ends an answer; otherwise the answer stops before it. */
  readonly ignoreEnd: boolean;
}

export interface LikelihoodRequest {
  readonly method: "likelihood";
  readonly ids: readonly number[];
}

export interface LogitsRequest {
  readonly method: "logits";
  readonly ids: readonly number[];
  /** Indices into `ids` after which the logits of the next token are wanted. */
  readonly positions: readonly number[];
}

export interface PerplexityRequest {
  readonly method: "perplexity";
  readonly text: string;
  /** Tokens in a chunk. */
  readonly contextSize: number;
  /** Chunks to score at most. */
  readonly chunkCount: number;
}

export type OracleRequest =
  | TokenizeRequest
  | DetokenizeRequest
  | GreedyRequest
  | LikelihoodRequest
  | LogitsRequest
  | PerplexityRequest;

export interface Perplexity {
  /** e to the mean of the scored tokens' negative log-likelihoods. */
  readonly perplexity: number;
  readonly chunkCount: number;
  readonly scoredCount: number;
}

/** What each method answers. */
export interface OracleResults {
  readonly tokenize: number[][];
  readonly detokenize: string[];
  readonly greedy: { readonly ids: number[]; readonly text: string };
  /** For each id after the first, −ln of its probability given the ids before it; in nats. */
  readonly likelihood: number[];
  /** A row of the vocabulary's length for each position. */
  readonly logits: number[][];
  readonly perplexity: Perplexity;
}

export type OracleMethod = OracleRequest["method"];

/** The first line says that the model is loaded; the others answer a request each. */
export type OracleResponse = { readonly result: unknown } | { readonly error: string };
