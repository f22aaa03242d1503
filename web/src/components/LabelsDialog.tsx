import { ArrowDown, ArrowUp, GripVertical, Pencil, X } from "lucide-react";
import { useRef, useState } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import form from "./form.module.css";
import { exchanged, labelEdits, renames, withName, type LabelEdit } from "./labelEdits";
import { tidyLabel } from "./labelMatches";
import { moved } from "./labelOrder";
import styles from "./LabelsDialog.module.css";
import { messageOf } from "./messageOf";
import { useContextOfStudio } from "./StudioContext";

interface NameProps {
  label: string;
  onDone(name: string): void;
  onCancel(): void;
}

/** A label whose name is being typed. */
function NameField({ label, onDone, onCancel }: NameProps) {
  const [typed, setTyped] = useState(label);
  const over = useRef(false);

  /** The field loses the focus as well when it goes after Enter. */
  function end(report: () => void): void {
    if (over.current) return;
    over.current = true;
    report();
  }

  return (
    <input
      className={form.text}
      data-testid="rename-label"
      aria-label={`New name of ${label}`}
      maxLength={200}
      autoComplete="off"
      autoFocus
      value={typed}
      onFocus={(event) => {
        event.currentTarget.select();
      }}
      onChange={(event) => {
        setTyped(event.target.value);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") {
          end(() => {
            onDone(tidyLabel(typed));
          });
        } else if (event.key === "Escape") {
          // Closing the dialog would take more back than the name.
          event.preventDefault();
          event.stopPropagation();
          end(onCancel);
        }
      }}
      onBlur={() => {
        end(() => {
          onDone(tidyLabel(typed));
        });
      }}
    />
  );
}

interface RowProps {
  label: LabelEdit;
  index: number;
  last: boolean;
  onMove(to: number): void;
  onRename(name: string): void;
  onRemove(): void;
  onDragStart(): void;
  onDragOver(): void;
}

function LabelRow({ label, index, last, onMove, onRename, onRemove, onDragStart, onDragOver }: RowProps) {
  const [renaming, setRenaming] = useState(false);
  const { name, was } = label;
  const others = was.filter((before) => before !== name);
  return (
    <li
      className={styles.row}
      data-testid="label-row"
      draggable={!renaming}
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
      {renaming ? (
        <NameField
          label={name}
          onDone={(typed) => {
            setRenaming(false);
            onRename(typed);
          }}
          onCancel={() => {
            setRenaming(false);
          }}
        />
      ) : (
        <span
          className={styles.name}
          title="Double-click to rename"
          onDoubleClick={() => {
            setRenaming(true);
          }}
        >
          {name}
          {others.length > 0 && <span className={form.quiet}> was {others.join(", ")}</span>}
        </span>
      )}
      <button
        type="button"
        className={styles.button}
        aria-label={`Rename ${name}`}
        title="Rename"
        onClick={() => {
          setRenaming(true);
        }}
      >
        <Pencil size={14} aria-hidden />
      </button>
      <button
        type="button"
        className={styles.button}
        aria-label={`Move ${name} up`}
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
        aria-label={`Move ${name} down`}
        disabled={last}
        onClick={() => {
          onMove(index + 1);
        }}
      >
        <ArrowDown size={14} aria-hidden />
      </button>
      <button type="button" className={styles.button} aria-label={`Remove ${name}`} onClick={onRemove}>
        <X size={14} aria-hidden />
      </button>
    </li>
  );
}

/** The project's labels; their order gives their number keys. */
export function LabelsDialog() {
  const { page, session } = useContextOfStudio();
  const [labels, setLabels] = useState<readonly LabelEdit[]>(() => labelEdits(session.state.getState().labels));
  const [typed, setTyped] = useState("");
  const [dragged, setDragged] = useState<number | null>(null);
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const tidy = tidyLabel(typed);
  const twice = exchanged(labels);

  function withTyped(): readonly LabelEdit[] {
    return tidy === "" || labels.some(({ name }) => name === tidy) ? labels : [...labels, { name: tidy, was: [] }];
  }

  function change(changed: readonly LabelEdit[]): void {
    setLabels(changed);
    setProblem(null);
  }

  async function save(): Promise<void> {
    const names = withTyped().map(({ name }) => name);
    const renamed = renames(labels);
    if (renamed.size === 0) {
      session.setLabels(names);
      page.closeDialog();
      return;
    }
    setSaving(true);
    setProblem(null);
    try {
      await session.renameLabels(names, renamed);
      page.closeDialog();
    } catch (error) {
      setProblem(messageOf(error));
    }
    setSaving(false);
  }

  return (
    <Dialog
      title="Labels"
      testId="labels-dialog"
      onClose={() => {
        if (!saving) page.closeDialog();
      }}
      footer={
        <>
          <Button disabled={saving} onClick={page.closeDialog}>
            Cancel
          </Button>
          <Button
            primary
            data-testid="labels-save"
            disabled={saving || twice !== null}
            onClick={() => {
              void save();
            }}
          >
            {saving ? "Renaming…" : "Save"}
          </Button>
        </>
      }
    >
      <div className={form.form}>
        <p className={form.quiet}>
          The first nine have the keys 1 to 9. Objects follow when their label is renamed. A label that objects have
          cannot be removed: rename it to another one, and the two become one.
        </p>
        <ol className={styles.list}>
          {labels.map((label, index) => (
            <LabelRow
              key={label.was.length > 0 ? `was ${String(label.was[0])}` : `new ${label.name}`}
              label={label}
              index={index}
              last={index === labels.length - 1}
              onMove={(to) => {
                change(moved(labels, index, to));
              }}
              onRename={(name) => {
                change(withName(labels, index, name));
              }}
              onRemove={() => {
                change(labels.filter((other) => other !== label));
              }}
              onDragStart={() => {
                setDragged(index);
              }}
              onDragOver={() => {
                if (dragged === null || dragged === index) return;
                change(moved(labels, dragged, index));
                setDragged(index);
              }}
            />
          ))}
        </ol>
        <form
          className={styles.add}
          onSubmit={(event) => {
            event.preventDefault();
            change(withTyped());
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
        {twice !== null && (
          <p className={form.bad} role="alert">
            “{twice}” gets another name here and gives its own to another label. Save one of the two first.
          </p>
        )}
        {problem !== null && (
          <p className={form.bad} role="alert">
            {problem}
          </p>
        )}
      </div>
    </Dialog>
  );
}
