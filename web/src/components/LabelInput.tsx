import { useId, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import styles from "./LabelInput.module.css";
import { labelMatches, tidyLabel } from "./labelMatches";
import { useContextOfStudio, usePage } from "./StudioContext";

interface Props {
  /** What it begins with. */
  label: string | null;
  labels: readonly string[];
  /** Null where the label was taken away. */
  onDone(label: string | null): void;
  onCancel(): void;
}

const SHOWN = 9;

/** A field for a label, with the project's labels to choose from. */
export function LabelInput({ label, labels, onDone, onCancel }: Props) {
  const { page } = useContextOfStudio();
  // The draft is the page's, as the object's row may change places while one types.
  const draft = usePage((state) => state.draft);
  const typed = draft ?? label ?? "";
  const touched = draft !== null;
  const [chosen, setChosen] = useState<number | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const ended = useRef(false);
  const id = useId();
  // Before anything is typed all labels are offered, and none is taken by Enter.
  const choices = labelMatches(touched ? typed : "", labels).slice(0, SHOWN);
  const active = chosen ?? (touched && tidyLabel(typed) !== "" ? 0 : null);
  const activeChoice = active === null ? undefined : choices[active];

  useLayoutEffect(() => {
    const field = input.current;
    if (field === null) return;
    field.focus();
    if (page.state.getState().draft === null) field.select();
    else field.setSelectionRange(field.value.length, field.value.length);
  }, [page]);

  useLayoutEffect(() => {
    if (input.current === null || list.current === null) return;
    const { left, bottom, top, width } = input.current.getBoundingClientRect();
    const height = list.current.offsetHeight;
    const above = bottom + 4 + height > window.innerHeight && top > height;
    list.current.style.left = `${String(left)}px`;
    list.current.style.top = `${String(above ? top - height - 4 : bottom + 4)}px`;
    list.current.style.minWidth = `${String(width)}px`;
  });

  function end(what: () => void): void {
    if (ended.current) return;
    ended.current = true;
    what();
  }

  function done(text: string): void {
    end(() => {
      onDone(tidyLabel(text) || null);
    });
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" || event.key === "Tab") {
      event.preventDefault();
      done(activeChoice?.label ?? typed);
    } else if (event.key === "Escape") {
      event.preventDefault();
      end(onCancel);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (choices.length === 0) return;
      const step = event.key === "ArrowDown" ? 1 : -1;
      const from = active ?? (step > 0 ? -1 : choices.length);
      setChosen((from + step + choices.length) % choices.length);
    }
    event.stopPropagation();
  }

  return (
    <>
      <input
        ref={input}
        className={styles.input}
        data-testid="label-input"
        role="combobox"
        aria-label="Label"
        aria-autocomplete="list"
        aria-expanded={choices.length > 0}
        aria-controls={id}
        aria-activedescendant={activeChoice && active !== null ? `${id}-${String(active)}` : undefined}
        placeholder="Label"
        maxLength={200}
        autoComplete="off"
        spellCheck={false}
        value={typed}
        onChange={(event) => {
          page.setDraft(event.target.value);
          setChosen(null);
        }}
        onKeyDown={onKeyDown}
        onBlur={() => {
          // Another window was taken up, not another part of the page.
          if (document.hasFocus()) done(typed);
        }}
      />
      <ul className={styles.list} ref={list} id={id} role="listbox" aria-label="Labels" hidden={choices.length === 0}>
        {choices.map((choice, index) => (
          <li
            key={choice.label}
            id={`${id}-${String(index)}`}
            role="option"
            aria-selected={index === active}
            className={styles.choice}
            onPointerDown={(event) => {
              event.preventDefault();
              done(choice.label);
            }}
          >
            <span className={styles.text}>{choice.isNew ? `New label “${choice.label}”` : choice.label}</span>
            {choice.number !== null && <kbd>{choice.number}</kbd>}
          </li>
        ))}
      </ul>
    </>
  );
}
