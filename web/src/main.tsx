import "./styles/tokens.css";
import "./styles/base.css";
import { createRoot } from "react-dom/client";
import { createCutOutCommands } from "./actions/cutOutCommands";
import { createPage } from "./actions/page";
import { ACTIONS } from "./actions/registry";
import { listenForShortcuts } from "./actions/shortcuts";
import { createApi } from "./api/client";
import { createStage } from "./canvas/viewportStore";
import { App } from "./components/App";
import { ErrorBoundary } from "./components/ErrorBoundary";
import { browserMemory } from "./components/remembered";
import { StudioProvider, type Studio } from "./components/StudioContext";
import { createDecoder } from "./decoder/client";
import { createSession } from "./session/create";
import type { Session } from "./session/session";
import { openOutbox } from "./sync/outbox";

declare global {
  interface Window {
    /** For people with a console. */
    anymaskStudio?: { session: Session };
  }
}

const api = createApi();
const session = createSession({ api, decoder: createDecoder(), outbox: openOutbox() });
const stage = createStage();
const page = createPage({
  storage: browserMemory(),
  prefersDark: () => window.matchMedia("(prefers-color-scheme: dark)").matches,
  width: window.innerWidth,
});
const studio: Studio = { api, session, stage, page, cutOuts: createCutOutCommands(session, api) };

function showTheme(): void {
  const { theme } = page.state.getState();
  if (theme === null) delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

showTheme();
page.state.subscribe(showTheme);
listenForShortcuts(ACTIONS, studio, window);
window.anymaskStudio = { session };

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element for the page.");
createRoot(root).render(
  <ErrorBoundary session={session}>
    <StudioProvider studio={studio}>
      <App stage={stage} />
    </StudioProvider>
  </ErrorBoundary>,
);
session.start();
