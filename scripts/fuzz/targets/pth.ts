/** Meta's checkpoints: the archive of one shard beside a good one, and the pickle in a good archive. */

import { openMeta } from "../../../src/files/meta/open.ts";
import { CriaError } from "../../../src/shared/errors.ts";
import { countedFiles } from "../../../tests/builders/counted-files.ts";
import { buildPth, type PthTensor, pickleOf } from "../../../tests/builders/pth.ts";
import { readTensors } from "../read-tensors.ts";
import type { FuzzTarget } from "../target.ts";

const params = JSON.stringify({
  dim: 4,
  n_layers: 1,
  n_heads: 2,
  n_kv_heads: 2,
  multiple_of: 2,
  ffn_dim_multiplier: 0.4,
  norm_eps: 1e-5,
  vocab_size: -1,
});

/** A one-layer Llama in `shardCount` shards; its feed-forward width is 4. */
function tinyShard(shardCount: number): Record<string, PthTensor> {
  const part = 4 / shardCount;
  const prefix = "layers.0.";
  const rows = { type: "HalfStorage", sizes: [part, 4], bytes: new Uint8Array(part * 8).fill(0x3c) } as const;
  const columns = { ...rows, sizes: [4, part] };
  const norm = { type: "FloatStorage", sizes: [4], bytes: new Uint8Array(16), parameter: true } as const;
  return {
    "tok_embeddings.weight": { ...columns, sizes: [6, part], bytes: new Uint8Array(part * 12) },
    [`${prefix}attention.wq.weight`]: rows,
    [`${prefix}attention.wk.weight`]: rows,
    [`${prefix}attention.wv.weight`]: rows,
    [`${prefix}attention.wo.weight`]: columns,
    [`${prefix}feed_forward.w1.weight`]: rows,
    [`${prefix}feed_forward.w2.weight`]: columns,
    [`${prefix}feed_forward.w3.weight`]: rows,
    [`${prefix}attention_norm.weight`]: norm,
    [`${prefix}ffn_norm.weight`]: norm,
    "norm.weight": norm,
    "output.weight": { ...rows, sizes: [6 / shardCount, 4], bytes: new Uint8Array((6 / shardCount) * 8) },
    "rope.freqs": { type: "BFloat16Storage", sizes: [1], bytes: new Uint8Array(2) },
  };
}

const secondShard = buildPth(tinyShard(2));

/** Whole archives, opened alone and as the first of two shards; each seed is right in one of these ways. */
export const pthTarget: FuzzTarget = {
  name: "pth",
  seeds: () => [
    buildPth(tinyShard(2)),
    buildPth(tinyShard(2), { zip64: true, padding: 64 }),
    buildPth(tinyShard(1), { zip64: true, padding: 0 }),
    buildPth(tinyShard(1), { comment: "x" }),
  ],
  tokens: [
    "PK\x01\x02",
    "PK\x03\x04",
    "PK\x05\x06",
    "PK\x06\x06",
    "PK\x06\x07",
    "archive/data.pkl",
    "archive/data/0",
  ],
  async run(bytes) {
    const alone = { "m/consolidated.00.pth": bytes, "m/params.json": params };
    try {
      await openAndRead(alone);
    } catch (error) {
      if (!(error instanceof CriaError)) throw error;
      await openAndRead({ ...alone, "m/consolidated.01.pth": secondShard });
    }
  },
};

async function openAndRead(contents: Record<string, Uint8Array | string>): Promise<void> {
  const files = countedFiles(contents);
  const file = await openMeta("m", files);
  await readTensors(file);
  await file.close();
  if (files.openCount() > 0) throw new Error("a file was left open");
}

const storages = Object.values(tinyShard(1)).map(
  ({ bytes }, index) => [`archive/data/${index}`, bytes] as [string, Uint8Array],
);

/** The pickle alone, in an archive that is right. */
export const pickleTarget: FuzzTarget = {
  name: "pickle",
  seeds: () => [pickleOf(tinyShard(1))],
  tokens: [
    ...[
      "(",
      ")",
      "]",
      "}",
      "a",
      "e",
      "s",
      "u",
      "t",
      "R",
      "b",
      "Q",
      "0",
      "1",
      "2",
      ".",
      "N",
      "\x85",
      "\x93",
      "\x94",
    ],
    ...[
      "h\x00",
      "q\x00",
      "\x8b\xff\xff\xff\x7f",
      "X\xff\xff\xff\xff",
      "\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
    ...[
      "cos\nsystem\n",
      "ccollections\nOrderedDict\n",
      "ctorch\nfloat16\n",
      "ctorch._utils\n_rebuild_tensor_v3\n",
    ],
    ...[
      "ctorch.storage\nUntypedStorage\n",
      "ctorch._utils\n_rebuild_parameter\n",
      "ctorch\nBFloat16Storage\n",
    ],
  ],
  async run(bytes) {
    const archive = buildPth({}, { pickle: bytes, extraEntries: storages });
    await openAndRead({ "m/consolidated.00.pth": archive, "m/params.json": params });
  },
};

/** The settings beside a checkpoint. */
export const paramsTarget: FuzzTarget = {
  name: "params-json",
  seeds: () => [new TextEncoder().encode(params)],
  tokens: [
    "null",
    "-1",
    "0",
    "1e999",
    "-1e999",
    "1e308",
    '"',
    "{",
    "}",
    "[",
    "]",
    "true",
    '"__proto__":{}',
    "\\ud800",
  ],
  async run(bytes) {
    const archive = buildPth(tinyShard(1));
    await openAndRead({ "m/consolidated.00.pth": archive, "m/params.json": bytes });
  },
};
