/**
 * What each weight is called: GGUF's names, which the rest of Cria uses, beside Hugging Face's and Meta's.
 */

/** Who wrote a file; llama2.c's reader gives Meta's names. */
export type Dialect = "gguf" | "safetensors" | "meta";

/** Names outside the layers: [GGUF, Hugging Face, Meta]. */
const GLOBAL: readonly (readonly [string, string, string])[] = [
  ["token_embd.weight", "model.embed_tokens.weight", "tok_embeddings.weight"],
  ["output_norm.weight", "model.norm.weight", "norm.weight"],
  ["output.weight", "lm_head.weight", "output.weight"],
];

/** Names in layer N, after `blk.N.`, `model.layers.N.` and `layers.N.`. */
const LAYER: readonly (readonly [string, string, string])[] = [
  ["attn_norm.weight", "input_layernorm.weight", "attention_norm.weight"],
  ["attn_q.weight", "self_attn.q_proj.weight", "attention.wq.weight"],
  ["attn_k.weight", "self_attn.k_proj.weight", "attention.wk.weight"],
  ["attn_v.weight", "self_attn.v_proj.weight", "attention.wv.weight"],
  ["attn_output.weight", "self_attn.o_proj.weight", "attention.wo.weight"],
  ["ffn_norm.weight", "post_attention_layernorm.weight", "ffn_norm.weight"],
  ["ffn_gate.weight", "mlp.gate_proj.weight", "feed_forward.w1.weight"],
  ["ffn_up.weight", "mlp.up_proj.weight", "feed_forward.w3.weight"],
  ["ffn_down.weight", "mlp.down_proj.weight", "feed_forward.w2.weight"],
];

const COLUMN: Readonly<Record<Dialect, 0 | 1 | 2>> = { gguf: 0, safetensors: 1, meta: 2 };
const LAYER_PREFIX: Readonly<Record<Dialect, string>> = {
  gguf: "blk.",
  safetensors: "model.layers.",
  meta: "layers.",
};

/** Frequencies that some files store but that follow from the config. */
const DERIVED = [/^rope\.freqs$/, /^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/];

/** GGUF's name of a weight in a file of another dialect; undefined when Llama has no such weight. */
export function canonicalName(dialect: Dialect, name: string): string | undefined {
  const column = COLUMN[dialect];
  const global = GLOBAL.find((names) => names[column] === name);
  if (global) return global[0];
  if (dialect === "gguf" && name === "rope_freqs.weight") return name;
  const prefix = LAYER_PREFIX[dialect];
  const match = name.startsWith(prefix) ? /^(\d+)\.(.*)$/.exec(name.slice(prefix.length)) : null;
  const layer = match && LAYER.find((names) => names[column] === match[2]);
  return match && layer ? `blk.${Number(match[1])}.${layer[0]}` : undefined;
}

/** The name in another dialect of a weight whose GGUF name is given; undefined where that dialect has none. */
export function dialectName(dialect: Dialect, canonical: string): string | undefined {
  if (dialect === "gguf") return canonical;
  const column = COLUMN[dialect];
  const global = GLOBAL.find((names) => names[0] === canonical);
  if (global) return global[column];
  const match = /^blk\.(\d+)\.(.*)$/.exec(canonical);
  const layer = match && LAYER.find((names) => names[0] === match[2]);
  return match && layer ? `${LAYER_PREFIX[dialect]}${match[1]}.${layer[column]}` : undefined;
}

/** Whether a tensor only repeats what the config says. */
export function isDerived(name: string): boolean {
  return DERIVED.some((pattern) => pattern.test(name));
}
