/**
 * Scalars as TensorBoard reads them: an event file is a list of records, each a length, a checksum, the bytes of a
 * protocol buffer, and a checksum.
 *
 *   record   u64 length · u32 crc(length) · bytes · u32 crc(bytes)       crc: CRC-32C, rotated and shifted
 *   Event    1: double wall time · 2: int64 step · 3: string file version, or 5: Summary{1: Value{1: tag, 2: float}},
 *            or 7: SessionLog{1: status, of which 1 is a start}
 *
 * Flow: metrics of a step → scalarEvent → events.out.tfevents.….   Source: TensorFlow's record_writer and event.proto.
 */

/** The first record of every file. `wallTime` in seconds since 1970. */
export function versionEvent(wallTime: number): Uint8Array {
  return record([...double(1, wallTime), ...text(3, "brain.Event:2")]);
}

/** Says that a run starts, or goes on, with this step: readers then forget what an earlier try wrote from it on. */
export function startEvent(wallTime: number, step: number): Uint8Array {
  return record([...double(1, wallTime), ...varintField(2, step), ...message(7, varintField(1, 1))]);
}

/** One record with several scalars of a step. */
export function scalarEvent(
  wallTime: number,
  step: number,
  scalars: Readonly<Record<string, number>>,
): Uint8Array {
  const values = Object.entries(scalars).flatMap(([tag, value]) =>
    message(1, [...text(1, tag), ...float(2, value)]),
  );
  return record([...double(1, wallTime), ...varintField(2, step), ...message(5, values)]);
}

function record(bytes: readonly number[]): Uint8Array {
  const out = new Uint8Array(bytes.length + 16);
  const view = new DataView(out.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(8, masked(out.subarray(0, 8)), true);
  out.set(bytes, 12);
  view.setUint32(12 + bytes.length, masked(out.subarray(12, 12 + bytes.length)), true);
  return out;
}

/** The wire types of protocol buffers: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
function message(field: number, bytes: readonly number[]): number[] {
  return [(field << 3) | 2, ...varint(bytes.length), ...bytes];
}

function text(field: number, value: string): number[] {
  return message(field, [...new TextEncoder().encode(value)]);
}

function double(field: number, value: number): number[] {
  return [(field << 3) | 1, ...new Uint8Array(Float64Array.of(value).buffer)];
}

function float(field: number, value: number): number[] {
  return [(field << 3) | 5, ...new Uint8Array(Float32Array.of(value).buffer)];
}

function varintField(field: number, value: number): number[] {
  return [field << 3, ...varint(value)];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

/** CRC-32C, then TensorFlow's mask, which keeps checksums of checksums apart. */
function masked(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255];
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

const table: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});
