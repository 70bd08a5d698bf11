/** What a regular expression says, before it is compiled. */
import type { CharacterSet } from "../character-set.ts";

export type Regex =
  | { readonly kind: "set"; readonly set: CharacterSet }
  | { readonly kind: "sequence"; readonly parts: readonly Regex[] }
  | { readonly kind: "choice"; readonly options: readonly Regex[] }
  | { readonly kind: "repeat"; readonly body: Regex; readonly min: number; readonly max: number }
  /** `^` or `$`. */
  | { readonly kind: "edge"; readonly side: "start" | "end"; readonly at: number };
