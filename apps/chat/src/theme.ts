/** Light or dark: as the system has it, or as the person chose. */
export type Theme = "system" | "light" | "dark";

const KEY = "cria-theme";

export function readTheme(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

/** Shows the theme and keeps it for the next visit. */
export function setTheme(theme: Theme): void {
  localStorage.setItem(KEY, theme);
  document.documentElement.dataset.theme = theme;
}
