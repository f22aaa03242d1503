import { Component, type ErrorInfo, type ReactNode } from "react";
import type { Session } from "../session/session";
import { Button } from "./Button";
import styles from "./ErrorBoundary.module.css";

interface Props {
  session: Session;
  children: ReactNode;
}

interface State {
  error: Error | null;
  unsaved: number;
}

/** Stands in for the page where painting it failed. The session lives outside of it and goes on saving. */
export class ErrorBoundary extends Component<Props, State> {
  override state: State = { error: null, unsaved: 0 };
  #unsubscribe: (() => void) | null = null;

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override componentDidCatch(error: unknown, info: ErrorInfo): void {
    console.error(error, info.componentStack);
    const { state } = this.props.session;
    const update = () => {
      this.setState({ unsaved: state.getState().unsaved });
    };
    this.#unsubscribe ??= state.subscribe(update);
    update();
  }

  override componentWillUnmount(): void {
    this.#unsubscribe?.();
  }

  override render(): ReactNode {
    const { error, unsaved } = this.state;
    if (error === null) return this.props.children;
    return (
      <main className={styles.page} role="alert">
        <h1>The page could not be painted</h1>
        <p>
          {unsaved === 0
            ? "All that you did is saved."
            : `${unsaved === 1 ? "1 change is" : `${String(unsaved)} changes are`} being saved; they are kept in this browser.`}{" "}
          Reload to go on where you were.
        </p>
        <Button
          primary
          onClick={() => {
            window.location.reload();
          }}
        >
          Reload
        </Button>
        <details>
          <summary>What happened</summary>
          <pre className={styles.details}>{error.stack ?? error.message}</pre>
        </details>
      </main>
    );
  }
}
