/** Writes zip archives of stored entries, as PyTorch does: with padding before the bytes and zip64 end records. */

export interface ZipOptions {
  /** Write sizes and offsets in zip64 fields. Default false. */
  readonly zip64?: boolean;
  /** Bytes of a local header's extra field. Default 5. */
  readonly padding?: number;
  readonly method?: number;
  readonly comment?: string;
}

/** Names may repeat. */
export function buildZip(
  entries: readonly (readonly [name: string, bytes: Uint8Array])[],
  options: ZipOptions = {},
): Uint8Array<ArrayBuffer> {
  const { zip64 = false, padding = 5, method = 0, comment = "" } = options;
  const out: number[] = [];
  const central: number[] = [];
  for (const [name, bytes] of entries) {
    const nameBytes = new TextEncoder().encode(name);
    const offset = out.length;
    // CRC 0: readers of ranges do not check it.
    out.push(...u32(0x04034b50), ...u16(45), ...u16(0), ...u16(method), ...u32(0), ...u32(0));
    out.push(...u32(bytes.length), ...u32(bytes.length), ...u16(nameBytes.length), ...u16(padding));
    out.push(...nameBytes, ...new Array<number>(padding).fill(0x5a), ...bytes);
    const extra = zip64
      ? [...u16(1), ...u16(24), ...u64(bytes.length), ...u64(bytes.length), ...u64(offset)]
      : [];
    const size = zip64 ? 0xffffffff : bytes.length;
    central.push(...u32(0x02014b50), ...u16(0), ...u16(45), ...u16(0), ...u16(method), ...u32(0), ...u32(0));
    central.push(...u32(size), ...u32(size), ...u16(nameBytes.length), ...u16(extra.length), ...u16(0));
    central.push(
      ...u16(0),
      ...u16(0),
      ...u32(0),
      ...u32(zip64 ? 0xffffffff : offset),
      ...nameBytes,
      ...extra,
    );
  }
  const start = out.length;
  out.push(...central);
  if (zip64) {
    const end = out.length;
    out.push(...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0));
    out.push(...u64(entries.length), ...u64(entries.length), ...u64(central.length), ...u64(start));
    out.push(...u32(0x07064b50), ...u32(0), ...u64(end), ...u32(1));
  }
  out.push(...u32(0x06054b50), ...u16(0), ...u16(0));
  out.push(...u16(zip64 ? 0xffff : entries.length), ...u16(zip64 ? 0xffff : entries.length));
  out.push(...u32(zip64 ? 0xffffffff : central.length), ...u32(zip64 ? 0xffffffff : start));
  out.push(...u16(comment.length), ...new TextEncoder().encode(comment));
  return Uint8Array.from(out);
}

function u16(value: number): number[] {
  return [value & 255, (value >> 8) & 255];
}

function u32(value: number): number[] {
  return [...u16(value & 0xffff), ...u16(value >>> 16)];
}

function u64(value: number): number[] {
  return [...u32(value % 2 ** 32), ...u32(Math.floor(value / 2 ** 32))];
}
