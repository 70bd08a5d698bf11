/** How answers are sampled, kept in this browser. */
import { useCallback, useState } from "react";
import type { Settings } from "./backend.ts";
import { recall, remember } from "./remember.ts";

const KEY = "cria-settings";
const defaults: Settings = { temperature: 0.8, topP: 0.95, minP: 0.05, repeatPenalty: 1, maxTokens: 400 };

export function useSettings(): [Settings, (settings: Settings) => void] {
  const [settings, setSettings] = useState(read);
  const change = useCallback((changed: Settings) => {
    remember(KEY, JSON.stringify(changed));
    setSettings(changed);
  }, []);
  return [settings, change];
}

function read(): Settings {
  try {
    const stored = JSON.parse(recall(KEY) ?? "{}") as Partial<Settings>;
    return { ...defaults, ...stored };
  } catch {
    return defaults;
  }
}
