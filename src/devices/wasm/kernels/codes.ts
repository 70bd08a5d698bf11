/**
 * The numbers that plans and kernels agree on. Both compilers read this file, so it holds plain constants only.
 */

/** Bytes of one call in a plan: its kernel and up to 31 arguments, as 32-bit words. */
export const CALL_BYTES = 128;

// Kernels.
export const EMBED = 1;
export const RMS_NORM = 2;
export const QUANTIZE_ACTIVATIONS = 3;
export const MULTIPLY_PACKED = 4;
export const MULTIPLY_FLOATS = 5;
export const ROPE = 7;
export const STORE = 8;
export const ATTENTION = 9;
export const SWIGLU = 10;
export const CROSS_ENTROPY = 11;
export const SAMPLE = 12;
export const ADAM_W = 13;
export const SUM_SQUARES = 14;
export const COPY = 15;
export const FILL = 16;
export const CONVERT = 17;
export const NARROW = 18;
export const INTERLEAVE = 19;
export const PACK_FLOAT_PANELS = 20;
export const PACKED_ATTENTION = 21;
export const PACKED_ATTENTION_GRAD = 22;
export const DROPOUT = 23;
export const EMBED_GRAD = 24;
export const RMS_NORM_GRAD = 25;
export const RMS_NORM_GAIN_GRAD = 26;
export const SWIGLU_GRAD = 27;
export const CROSS_ENTROPY_GRAD = 28;
export const MULTIPLY_FLOAT_PANELS = 29;
export const ADD_SUMS = 30;
export const PACK_TOKENS = 31;
export const ATTENTION_JOIN = 32;

// Formats of tensors.
export const F32 = 1;
export const F16 = 2;
export const BF16 = 3;
export const Q4_0 = 4;
export const Q4_1 = 5;
export const Q5_0 = 6;
export const Q5_1 = 7;
export const Q8_0 = 8;
export const Q2_K = 9;
export const Q3_K = 10;
export const Q4_K = 11;
export const Q5_K = 12;
export const Q6_K = 13;
export const IQ4_NL = 14;

// How integer products are summed; which is fastest, and which is exact, depends on the processor.
/** Pairs of products in 16 bits, a few of them summed there, then in 32 bits. */
export const SUM_PAIRS = 0;
/** Four products summed in 32 bits by one instruction, whose second factor has 7 bits. */
export const SUM_QUADS = 1;
/** The same instruction where it takes a second factor of 8 bits, unsigned. */
export const SUM_QUADS_OF_BYTES = 2;

/** Tokens that are multiplied one by one (multiply-packed.ts): unpacking weights does not pay for them. */
export const FEW_ROWS = 3;
/** Fewer tokens are not worth packing for a product of floats (multiply-floats.ts). */
export const PACKED_TOKENS = 12;

// Room that lowering gives to kernels.
/** Bytes that 32 columns of 8 rows take as unsigned bytes, the common form of all packed formats; interleave needs two. */
export const BLOCK_QUANTS = 256;
/** The same as 16-bit integers with their scales (multiply-wide.ts). */
export const WIDE_BLOCK_BYTES = 544;
/** What `dequantizeBlock` needs: the values, [8 rows][32 columns], then room for what they are made of. */
export const DEQUANTIZE_BYTES = 4096;
/** A tile's sums, 8 floats for each of 16 tokens, before a thread's panels (multiply-panels.ts). */
export const SUMS_BYTES = 512;
/** A tile of floats at an edge (float-tile.ts). */
export const TILE_BYTES = 192;
/** Rows whose part of the gains' gradient is summed alone (rms-norm-grad.ts). */
export const GAIN_ROWS = 32;
/** Positions of a span of attention, a whole number of pieces (attention.ts). */
export const SPAN = 256;
/** A block's record of activations, as int8 and as int16 (quantize-activations.ts). */
export const RECORD_BYTES = 48;
export const WIDE_RECORD_BYTES = 80;

// How floats come into panels (float-panels.ts).
/** The panel's values are rows of the source, its steps columns. */
export const GATHER_PANELS = 0;
/** The panel's values are columns of the source, its steps rows. */
export const COPY_PANELS = 1;
/** The same, where the source is interleaved weights. */
export const DEQUANTIZE_PANELS = 2;
