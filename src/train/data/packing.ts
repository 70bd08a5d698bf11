/**
 * Puts documents into windows of equal length, without a token of one seeing another.
 *
 * A window begins with the document that waits longest, then takes the first of the next LOOKAHEAD that fits whole; when
 * none does, a text is cut where the window ends and goes on in the next one, unless little room is left. A conversation is
 * cut only when it is longer than a window, and whole windows of it before its first answer are left out. Packing looks at
 * lengths alone, so the windows of any step are known without reading what came before.
 *
 * Flow: order of documents → Packer (pieces of windows) → dataset.ts.
 */

/** Tokens [first, first + count] of a document: count inputs, each with the token after it as target. */
export interface Piece {
  readonly source: number;
  readonly document: number;
  readonly first: number;
  readonly count: number;
}

/** What waits to be packed. */
interface Waiting {
  readonly source: number;
  readonly document: number;
  first: number;
  /** Inputs that are left. */
  left: number;
}

/** The document that follows; undefined after the last, where there is one. */
type NextDocument = () =>
  | {
      readonly source: number;
      readonly document: number;
      readonly tokens: number;
      /** Place of the first learned token. */
      readonly firstLearned: number;
    }
  | undefined;

const LOOKAHEAD = 32;
/** Less room than this is left empty rather than filled with a cut text. */
const LEAST_PIECE = 32;

export class Packer {
  readonly #length: number;
  readonly #next: NextDocument;
  readonly #waiting: Waiting[] = [];

  constructor(length: number, next: NextDocument) {
    this.#length = length;
    this.#next = next;
  }

  /** The pieces of the next window, in order; none after the last document. */
  window(): Piece[] {
    const pieces: Piece[] = [];
    let room = this.#length;
    while (room > 0) {
      while (this.#waiting.length < LOOKAHEAD) {
        const next = this.#next();
        if (!next) break;
        const { source, document, tokens, firstLearned } = next;
        // The token before the first learned one predicts it: windows that end earlier teach nothing.
        const first = Math.floor((firstLearned - 1) / this.#length) * this.#length;
        this.#waiting.push({ source, document, first, left: tokens - 1 - first });
      }
      if (this.#waiting.length === 0) break;
      // The longest waiting goes first: a text longer than a window would else wait for as long as others fit.
      const [head] = this.#waiting;
      const index =
        pieces.length === 0 && head.left > room ? -1 : this.#waiting.findIndex(({ left }) => left <= room);
      if (index >= 0) {
        const { source, document, first, left } = this.#waiting.splice(index, 1)[0];
        pieces.push({ source, document, first, count: left });
        room -= left;
        continue;
      }
      // All are longer than the room: cut the first if it would not fit a window of its own either, or if it is worth it.
      const mustCut = head.left > this.#length;
      if (!mustCut && pieces.length > 0) break;
      if (room < LEAST_PIECE && pieces.length > 0) break;
      pieces.push({ source: head.source, document: head.document, first: head.first, count: room });
      head.first += room;
      head.left -= room;
      room = 0;
    }
    return pieces;
  }
}
