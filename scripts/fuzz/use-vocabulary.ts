/** Uses a vocabulary as a chat would: text there and back, and every token's name, kind and bytes. */
import { createTokenizer } from "../../src/tokenizer/create-tokenizer.ts";
import type { Vocabulary } from "../../src/tokenizer/vocabulary.ts";

const TEXT = "a b  Hello, wörld! 你好 🙂\n123 <s> it's\t";

export function useVocabulary(vocabulary: Vocabulary): void {
  const tokenizer = createTokenizer(vocabulary);
  const ids = tokenizer.encode(TEXT, { addSpecial: true, parseSpecial: true });
  for (const id of ids)
    if (!Number.isInteger(id) || id < 0 || id >= tokenizer.vocabularySize)
      throw new Error(`encode gave the id ${id}`);
  tokenizer.decode(ids, { showSpecial: true });
  const decoder = tokenizer.decoder();
  for (let id = 0; id < Math.min(512, tokenizer.vocabularySize); id++) {
    tokenizer.pieceOf(id);
    tokenizer.kindOf(id);
    tokenizer.bytesOf(id);
    decoder.push(id);
  }
  decoder.flush();
}
