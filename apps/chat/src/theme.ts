/** Light or dark: as the system has it, or as the person chose. */
import { recall, remember } from "./remember.ts";

export type Theme = "system" | "light" | "dark";

const KEY = "cria-theme";

export function readTheme(): Theme {
  const stored = recall(KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

/** Shows the theme and keeps it for the next visit. */
export function setTheme(theme: Theme): void {
  remember(KEY, theme);
  document.documentElement.dataset.theme = theme;
}
