/**
 * Trains a tokenizer on data files, in every shape that training reads, and writes it as SentencePiece's tokenizer.model.
 *
 * Flow: paths → readRecords → texts → trainTokenizer → tokenizer.model.
 */

import { vocabularyToSentencePiece } from "../../../tokenizer/to-sentence-piece.ts";
import { type TokenizerTraining, trainTokenizer } from "../../../tokenizer/train.ts";
import type { Vocabulary } from "../../../tokenizer/vocabulary.ts";
import { exampleOf } from "../../../train/data/example.ts";
import { readRecords } from "../../../train/data/records.ts";
import { nodeFiles } from "../file-system.ts";

/** @throws {CriaError} what reading the data, training and writing throw; nothing is left at `output` then. */
export async function trainTokenizerOn(
  paths: readonly string[],
  output: string,
  options: TokenizerTraining,
): Promise<Vocabulary> {
  const vocabulary = await trainTokenizer(textsOf(paths), options);
  const sink = await nodeFiles.create(output);
  try {
    await sink.write(vocabularyToSentencePiece(vocabulary));
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
  return vocabulary;
}

/** Every text of the data: of conversations each message. */
async function* textsOf(paths: readonly string[]): AsyncGenerator<string> {
  for (const path of paths)
    for await (const record of readRecords(path, nodeFiles)) {
      const example = exampleOf(record);
      if (!example) continue;
      if (example.kind === "text") yield example.text;
      else {
        const messages =
          example.kind === "chat"
            ? example.messages
            : [...example.prompt, ...example.chosen, ...example.rejected];
        for (const { content } of messages) yield content;
      }
    }
}
