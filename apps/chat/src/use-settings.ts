/** How answers are sampled: as people chose in this browser, else as the model's maker recommends. */
import { useCallback, useState } from "react";
import type { Settings } from "./backend.ts";
import { recall, remember } from "./remember.ts";

const KEY = "cria-settings";
const defaults: Settings = { temperature: 0.8, topP: 0.95, minP: 0.05, repeatPenalty: 1, maxTokens: 400 };

/** @param recommended by the model's maker */
export function useSettings(
  recommended: Partial<Settings> = {},
): [Settings, (changes: Partial<Settings>) => void] {
  const [chosen, setChosen] = useState(read);
  const change = useCallback(
    (changes: Partial<Settings>) => {
      const all = { ...chosen, ...changes };
      remember(KEY, JSON.stringify(all));
      setChosen(all);
    },
    [chosen],
  );
  return [{ ...defaults, ...recommended, ...chosen }, change];
}

function read(): Partial<Settings> {
  try {
    return JSON.parse(recall(KEY) ?? "{}") as Partial<Settings>;
  } catch {
    return {};
  }
}
