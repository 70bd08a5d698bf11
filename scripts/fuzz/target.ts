/** What the fuzzer needs to know of a reader. */

export interface FuzzTarget {
  /** Names the format on the command line. */
  readonly name: string;
  /** Valid files, small ones: every mutant starts from one. */
  seeds(): Promise<readonly Uint8Array[]> | readonly Uint8Array[];
  /** Pieces of the format that mutations put in: keywords, opcodes, numbers at their limits. One character is one byte. */
  readonly tokens?: readonly string[];
  /** Opens the bytes and uses all that a reader gives. A CriaError is a good answer to a broken file; any other is not. */
  run(bytes: Uint8Array): Promise<void>;
}
