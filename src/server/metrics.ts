/**
 * Counts and times for Prometheus, under vLLM's names behind our own prefix, so that its dashboards fit after a
 * replacement of the prefix. All intervals are taken from a monotonic clock.
 *
 *   arrival ──queue── start of the prompt ──prefill── first token ──decode── last token
 *
 * Flow: answer.ts (arrival, tokens, end) → Metrics → GET /metrics.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Timings } from "../generate/generate.ts";

const PREFIX = "cria:";

/** How a request ended; `abort` when its client left, `error` for all else that is no answer. */
export type Ending = "stop" | "length" | "abort" | "error";

/** What is recorded about one answer while it is made. */
export interface AnswerRecord {
  token(): void;
  end(ending: Ending, timings?: Timings): void;
}

/** What the model tells of itself when it is asked for metrics. */
export interface ModelGauges {
  /** Answers that are being made, those of a batch of embeddings one by one. */
  readonly running: number;
  /** Answers that wait for their turn. */
  readonly waiting: number;
  /** Share of the cache that is in use, 0 to 1. */
  readonly cacheUsage: number;
}

export interface Metrics {
  begin(): AnswerRecord;
  /** Counts work that is no answer among what runs, until the function that it gives is called. */
  occupy(): () => void;
  /** Counts a request that was answered with an error. */
  failure(status: number): void;
  readonly running: number;
  readonly contentType: string;
  text(gauges: ModelGauges): Promise<string>;
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const tokens = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000];

/** @param modelName gives the `model_name` label. */
export function createMetrics(modelName: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ model_name: modelName });
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers });
  const gauge = (name: string, help: string) => new Gauge({ name: PREFIX + name, help, registers });
  const histogram = (name: string, help: string, buckets = seconds) =>
    new Histogram({ name: PREFIX + name, help, buckets, registers });

  const running = gauge("num_requests_running", "Answers that are being made.");
  const waiting = gauge("num_requests_waiting", "Answers that wait for their turn.");
  const cacheUsage = gauge("kv_cache_usage_perc", "Share of the cache of keys and values in use; 1 is all.");
  const cacheQueries = counter("prefix_cache_queries_total", "Prompt tokens looked up in the cache.");
  const cacheHits = counter("prefix_cache_hits_total", "Prompt tokens found in the cache.");
  const promptTokens = counter("prompt_tokens_total", "Tokens of all prompts.");
  const generatedTokens = counter("generation_tokens_total", "Tokens made, ends included.");
  const endings = counter("request_success_total", "Answers that ended, by reason.", ["finished_reason"]);
  const failures = counter("request_failure_total", "Requests answered with an error, by status.", [
    "status",
  ]);
  const firstToken = histogram("time_to_first_token_seconds", "From arrival to the first token.");
  const interToken = histogram("inter_token_latency_seconds", "From one token to the next.");
  const latency = histogram("e2e_request_latency_seconds", "From arrival to the end.");
  const queued = histogram("request_queue_time_seconds", "From arrival to the start of the prompt.");
  const prefill = histogram("request_prefill_time_seconds", "From the start of the prompt to its end.");
  const decode = histogram("request_decode_time_seconds", "From the end of the prompt to the last token.");
  const promptLength = histogram("request_prompt_tokens", "Tokens of a prompt.", tokens);
  const answerLength = histogram("request_generation_tokens", "Tokens of an answer.", tokens);

  let runningCount = 0;
  return {
    get running() {
      return runningCount;
    },
    contentType: registry.contentType,
    begin() {
      const arrived = performance.now();
      let last: number | undefined;
      let made = 0;
      runningCount++;
      return {
        token() {
          const now = performance.now();
          if (last === undefined) firstToken.observe((now - arrived) / 1000);
          else interToken.observe((now - last) / 1000);
          last = now;
          made++;
        },
        end(ending, timings) {
          const elapsed = performance.now() - arrived;
          runningCount--;
          endings.inc({ finished_reason: ending });
          generatedTokens.inc(timings?.predicted_n ?? made);
          if (!timings) return;
          const promptCount = timings.cache_n + timings.prompt_n;
          promptTokens.inc(promptCount);
          cacheQueries.inc(promptCount);
          cacheHits.inc(timings.cache_n);
          latency.observe(elapsed / 1000);
          queued.observe(Math.max(0, elapsed - timings.prompt_ms - timings.predicted_ms) / 1000);
          prefill.observe(timings.prompt_ms / 1000);
          decode.observe(timings.predicted_ms / 1000);
          promptLength.observe(promptCount);
          answerLength.observe(timings.predicted_n);
        },
      };
    },
    occupy() {
      runningCount++;
      return () => {
        runningCount--;
      };
    },
    failure(status) {
      failures.inc({ status: String(status) });
    },
    async text(gauges) {
      running.set(gauges.running);
      waiting.set(gauges.waiting);
      cacheUsage.set(gauges.cacheUsage);
      return registry.metrics();
    },
  };
}
