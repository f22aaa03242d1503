import { ArrowDown, ArrowUp, GripVertical, X } from "lucide-react";
import { useState } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import form from "./form.module.css";
import { tidyLabel } from "./labelMatches";
import { moved } from "./labelOrder";
import styles from "./LabelsDialog.module.css";
import { useContextOfStudio } from "./StudioContext";

interface RowProps {
  label: string;
  index: number;
  last: boolean;
  onMove(to: number): void;
  onRemove(): void;
  onDragStart(): void;
  onDragOver(): void;
}

function LabelRow({ label, index, last, onMove, onRemove, onDragStart, onDragOver }: RowProps) {
  return (
    <li
      className={styles.row}
      data-testid="label-row"
      draggable
      onDragStart={(event) => {
        event.dataTransfer.effectAllowed = "move";
        onDragStart();
      }}
      onDragOver={(event) => {
        event.preventDefault();
        onDragOver();
      }}
    >
      <GripVertical size={14} className={styles.grip} aria-hidden />
      <span className={styles.number}>{index < 9 ? <kbd>{index + 1}</kbd> : null}</span>
      <span className={styles.name}>{label}</span>
      <button
        type="button"
        className={styles.button}
        aria-label={`Move ${label} up`}
        disabled={index === 0}
        onClick={() => {
          onMove(index - 1);
        }}
      >
        <ArrowUp size={14} aria-hidden />
      </button>
      <button
        type="button"
        className={styles.button}
        aria-label={`Move ${label} down`}
        disabled={last}
        onClick={() => {
          onMove(index + 1);
        }}
      >
        <ArrowDown size={14} aria-hidden />
      </button>
      <button type="button" className={styles.button} aria-label={`Remove ${label}`} onClick={onRemove}>
        <X size={14} aria-hidden />
      </button>
    </li>
  );
}

/** The project's labels; their order gives their number keys. */
export function LabelsDialog() {
  const { page, session } = useContextOfStudio();
  const [labels, setLabels] = useState<readonly string[]>(() => session.state.getState().labels);
  const [typed, setTyped] = useState("");
  const [dragged, setDragged] = useState<number | null>(null);
  const tidy = tidyLabel(typed);

  function withTyped(): readonly string[] {
    return tidy === "" || labels.includes(tidy) ? labels : [...labels, tidy];
  }

  return (
    <Dialog
      title="Labels"
      testId="labels-dialog"
      onClose={page.closeDialog}
      footer={
        <>
          <Button onClick={page.closeDialog}>Cancel</Button>
          <Button
            primary
            data-testid="labels-save"
            onClick={() => {
              session.setLabels(withTyped());
              page.closeDialog();
            }}
          >
            Save
          </Button>
        </>
      }
    >
      <div className={form.form}>
        <p className={form.quiet}>The first nine have the keys 1 to 9. Labels that objects have cannot be removed.</p>
        <ol className={styles.list}>
          {labels.map((label, index) => (
            <LabelRow
              key={label}
              label={label}
              index={index}
              last={index === labels.length - 1}
              onMove={(to) => {
                setLabels(moved(labels, index, to));
              }}
              onRemove={() => {
                setLabels(labels.filter((other) => other !== label));
              }}
              onDragStart={() => {
                setDragged(index);
              }}
              onDragOver={() => {
                if (dragged === null || dragged === index) return;
                setLabels(moved(labels, dragged, index));
                setDragged(index);
              }}
            />
          ))}
        </ol>
        <form
          className={styles.add}
          onSubmit={(event) => {
            event.preventDefault();
            setLabels(withTyped());
            setTyped("");
          }}
        >
          <input
            className={form.text}
            data-testid="new-label"
            data-focused
            aria-label="New label"
            placeholder="New label"
            maxLength={200}
            autoComplete="off"
            value={typed}
            onChange={(event) => {
              setTyped(event.target.value);
            }}
          />
          <Button type="submit" disabled={tidy === ""}>
            Add
          </Button>
        </form>
      </div>
    </Dialog>
  );
}
