/** The model that comes with the package: see its card, models/README.md. */
import { fileURLToPath } from "node:url";

/** Path of the embedded model; three folders up from src/platform/node and from dist/platform/node. */
export function defaultModelPath(): string {
  return fileURLToPath(new URL("../../../models/default.gguf", import.meta.url));
}
