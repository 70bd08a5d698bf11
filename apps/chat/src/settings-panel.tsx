/** What answers are made with: the model, the system prompt, sampling; and how the page looks. */
import { useEffect, useRef, useState } from "react";
import type { Settings } from "./backend.ts";
import { ModelPanel } from "./model-panel.tsx";
import { readTheme, setTheme, type Theme } from "./theme.ts";
import type { BackendState } from "./use-backend.ts";

interface Props {
  readonly state: BackendState;
  readonly system: string;
  readonly onSystem: (system: string) => void;
  readonly settings: Settings;
  readonly onSettings: (changes: Partial<Settings>) => void;
}

export function SettingsPanel({ state, system, onSystem, settings, onSettings }: Props) {
  const panel = useRef<HTMLElement>(null);
  // It is far from the button that opens it.
  useEffect(() => panel.current?.focus(), []);
  return (
    <aside ref={panel} tabIndex={-1} aria-label="Settings">
      <ModelPanel state={state} />
      <label>
        System prompt
        <textarea rows={4} dir="auto" value={system} onChange={(event) => onSystem(event.target.value)} />
      </label>
      {sliders.map(({ name, ...slider }) => (
        <Slider
          key={name}
          {...slider}
          value={settings[name]}
          onChange={(value) => onSettings({ [name]: value })}
        />
      ))}
      <ThemeChoice />
    </aside>
  );
}

const sliders: readonly (Pick<SliderProps, "label" | "least" | "most" | "step"> & {
  readonly name: keyof Settings;
})[] = [
  { name: "temperature", label: "Temperature", least: 0, most: 2, step: 0.05 },
  { name: "topP", label: "Top p", least: 0.05, most: 1, step: 0.05 },
  { name: "minP", label: "Min p", least: 0, most: 0.5, step: 0.01 },
  { name: "repeatPenalty", label: "Repeat penalty", least: 1, most: 2, step: 0.05 },
  { name: "maxTokens", label: "Tokens at most", least: 50, most: 2000, step: 50 },
];

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
  readonly step: number;
  readonly onChange: (value: number) => void;
}

function Slider({ label, value, least, most, step, onChange }: SliderProps) {
  return (
    <label>
      {label}: {value}
      <input
        type="range"
        min={least}
        max={most}
        step={step}
        value={value}
        onChange={(event) => onChange(Number(event.target.value))}
      />
    </label>
  );
}

function ThemeChoice() {
  const [theme, choose] = useState(readTheme);
  return (
    <label>
      Colours
      <select
        value={theme}
        onChange={(event) => {
          const chosen = event.target.value as Theme;
          setTheme(chosen);
          choose(chosen);
        }}
      >
        <option value="system">as the system</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select>
    </label>
  );
}
