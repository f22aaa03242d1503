import { act, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { afterEach, vi } from "vitest";
import type { Api } from "../../src/api/client";
import { StudioProvider } from "../../src/components/StudioContext";
import type { StudioState } from "../../src/session/session";
import { recordedContext, type Recorded } from "../actions/states";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

// What jsdom does not have, as far as components ask for it.
class NoResizes {
  observe(): void {
    return;
  }
  disconnect(): void {
    return;
  }
}
vi.stubGlobal("ResizeObserver", NoResizes);
HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
  this.open = false;
};

const ended: (() => void)[] = [];

afterEach(() => {
  for (const end of ended.splice(0)) end();
  localStorage.clear();
});

export interface Rendered extends Recorded {
  root: HTMLElement;
  /** Change the session's state, and wait until it is painted. */
  change(changes: Partial<StudioState>): void;
  byTestId(id: string): HTMLElement;
  allByTestId(id: string): HTMLElement[];
  byLabel(label: string): HTMLElement;
}

/** Paint a part of the page around a session that writes down what it is told. */
export function renderStudio(
  element: ReactElement,
  { state = {}, api = {} }: { state?: Partial<StudioState>; api?: Partial<Api> } = {},
): Rendered {
  const recorded = recordedContext(state);
  const root = document.createElement("div");
  document.body.append(root);
  const painted = createRoot(root);
  const served = { thumbnailUrl: (picture: number) => `/thumbnail/${String(picture)}`, ...api } as Api;
  act(() => {
    painted.render(<StudioProvider studio={{ ...recorded.context, api: served }}>{element}</StudioProvider>);
  });
  ended.push(() => {
    act(() => {
      painted.unmount();
    });
    root.remove();
  });

  function found(selector: string): HTMLElement {
    const all = root.querySelectorAll<HTMLElement>(selector);
    if (all.length !== 1 || all[0] === undefined) throw new Error(`${String(all.length)} elements are ${selector}`);
    return all[0];
  }

  return {
    ...recorded,
    root,
    change: (changes) => {
      act(() => {
        recorded.session.state.setState(changes);
      });
    },
    byTestId: (id) => found(`[data-testid="${id}"]`),
    allByTestId: (id) => [...root.querySelectorAll<HTMLElement>(`[data-testid="${id}"]`)],
    byLabel: (label) => found(`[aria-label="${label}"]`),
  };
}

/** Do something, and wait until what comes of it is painted. */
export function perform(what: () => void): void {
  act(what);
}

export function click(element: HTMLElement): void {
  act(() => {
    element.click();
  });
}

/** Press a key; whether what the browser would do was prevented. */
export function key(element: HTMLElement, name: string): boolean {
  const event = new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true });
  act(() => {
    element.dispatchEvent(event);
  });
  return event.defaultPrevented;
}

/** Let a field hold a text, as typing it does. */
export function fill(element: HTMLElement, text: string): void {
  const type = element instanceof HTMLSelectElement ? HTMLSelectElement : HTMLInputElement;
  // React looks at changes past its own property.
  const set = Object.getOwnPropertyDescriptor(type.prototype, "value")?.set;
  act(() => {
    set?.call(element, text);
    element.dispatchEvent(new Event(type === HTMLSelectElement ? "change" : "input", { bubbles: true }));
  });
}

/** Wait until what was promised has been painted. */
export async function settle(): Promise<void> {
  await act(async () => {
    await new Promise((resolve) => setTimeout(resolve, 0));
  });
}
