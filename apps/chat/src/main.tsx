import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { keepForOffline } from "./offline.ts";
import "./style.css";
import { readTheme, setTheme } from "./theme.ts";

setTheme(readTheme());
keepForOffline();

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
