import { memo, type SyntheticEvent } from "react";
import type { Action } from "../actions/action";
import { ariaKey, keyText } from "../actions/keys";
import styles from "./ActionButton.module.css";
import { MAC, useRun, useStudio } from "./StudioContext";

type Side = "right" | "below" | "above";

interface Props {
  action: Action;
  /** Where the tooltip goes. */
  side: Side;
  /** Shows the label beside the icon. */
  labelled?: boolean;
}

function forgetUse({ currentTarget: button }: SyntheticEvent<HTMLButtonElement>): void {
  delete button.dataset["used"];
}

/** A button for an action: its icon, state, tooltip and keys all come from the action. */
export const ActionButton = memo(function ActionButton({ action, side, labelled = false }: Props) {
  const run = useRun();
  const enabled = useStudio((state) => action.enabled(state));
  const pressed = useStudio((state) => action.pressed?.(state));
  const { icon: Icon, keys } = action;
  const shown = action.keysShown ?? (keys[0] === undefined ? null : keyText(keys[0], MAC));
  return (
    <button
      type="button"
      className={styles.button}
      data-testid={action.name}
      aria-label={action.label}
      aria-pressed={pressed}
      aria-disabled={!enabled}
      aria-keyshortcuts={keys.map((key) => ariaKey(key, MAC)).join(" ") || undefined}
      // The pointer leaves the focus where it is, so that Enter goes on to finish the object.
      onPointerDown={(event) => {
        event.preventDefault();
      }}
      onMouseDown={(event) => {
        event.preventDefault();
      }}
      onClick={({ currentTarget: button }) => {
        // Who has pressed it knows what it does: the tooltip goes until the pointer comes back.
        button.dataset["used"] = "yes";
        if (enabled) run(action);
      }}
      onPointerLeave={forgetUse}
      onBlur={forgetUse}
    >
      <Icon size={18} strokeWidth={1.75} aria-hidden />
      {labelled && <span>{action.label}</span>}
      <span className={styles.tooltip} data-side={side} aria-hidden>
        <span className={styles.label}>
          {action.label} {shown !== null && <kbd>{shown}</kbd>}
        </span>
        {action.hint !== undefined && <span className={styles.hint}>{action.hint}</span>}
      </span>
    </button>
  );
});
