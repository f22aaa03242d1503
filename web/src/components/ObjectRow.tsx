import { Eye, EyeOff, Trash2 } from "lucide-react";
import { memo, useEffect } from "react";
import type { ObjectState } from "../api/types";
import { ColorChip } from "./ColorChip";
import { LabelInput } from "./LabelInput";
import { objectName } from "./objectName";
import styles from "./ObjectRow.module.css";
import { useContextOfStudio, useStudio } from "./StudioContext";

interface Props {
  object: ObjectState;
  /** Its place in the list, from 0. */
  index: number;
  selected: boolean;
  labelling: boolean;
}

function Name({ object, index, labelling }: Omit<Props, "selected">) {
  const { session, page } = useContextOfStudio();
  const labels = useStudio((state) => state.labels);
  if (labelling) {
    return (
      <LabelInput
        label={object.label}
        labels={labels}
        onDone={(label) => {
          if (label !== object.label) session.setLabel(object.id, label);
          page.stopLabelling();
        }}
        onCancel={() => {
          page.stopLabelling();
        }}
      />
    );
  }
  return (
    <span
      className={styles.name}
      data-labelled={object.label !== null}
      title="Double-click to label"
      onDoubleClick={() => {
        page.startLabelling({ kind: "object", id: object.id });
      }}
    >
      {objectName(object, index)}
    </span>
  );
}

function Score({ score }: { score: number | null }) {
  if (score === null) return <span className={styles.score} />;
  const title = `The model expects this mask to overlap the right one by ${score.toFixed(3)} (predicted IoU). It can be wrong.`;
  return (
    <span className={styles.score} title={title}>
      {Math.min(Math.max(score, 0), 1).toFixed(2)}
    </span>
  );
}

/** An object in the list. */
export const ObjectRow = memo(function ObjectRow({ object, index, selected, labelling }: Props) {
  const { session } = useContextOfStudio();
  const marked = useStudio((state) => state.marked === object.id);
  const mark = () => {
    session.mark(object.id, "list");
  };
  const unmark = () => {
    session.unmark(object.id, "list");
  };

  // The list keeps only rows that are seen, and a row that is gone does not tell that the pointer has left it.
  useEffect(
    () => () => {
      session.unmark(object.id, "list");
    },
    [object.id, session],
  );

  const tabIndex = selected ? 0 : -1;
  const name = objectName(object, index);
  return (
    <div
      className={styles.row}
      role="row"
      data-testid="object-row"
      data-object={object.id}
      data-hidden={!object.visible}
      aria-selected={selected}
      aria-rowindex={index + 1}
      aria-label={name}
      data-marked={marked}
      onPointerEnter={mark}
      onPointerLeave={unmark}
      onFocus={mark}
      onBlur={unmark}
      onClick={() => {
        session.select(object.id);
      }}
    >
      <div role="gridcell">
        <ColorChip object={object} tabIndex={tabIndex} />
      </div>
      <div role="gridcell" className={styles.nameCell}>
        <Name object={object} index={index} labelling={labelling} />
      </div>
      <div role="gridcell">
        <Score score={object.score} />
      </div>
      <div role="gridcell" className={styles.buttons}>
        <button
          type="button"
          className={styles.button}
          tabIndex={tabIndex}
          aria-label={object.visible ? `Hide ${name}` : `Show ${name}`}
          title={object.visible ? "Hide" : "Show"}
          onClick={(event) => {
            event.stopPropagation();
            session.setVisible(object.id, !object.visible);
          }}
        >
          {object.visible ? <Eye size={15} aria-hidden /> : <EyeOff size={15} aria-hidden />}
        </button>
        <button
          type="button"
          className={styles.button}
          tabIndex={tabIndex}
          aria-label={`Delete ${name}`}
          title="Delete"
          onClick={(event) => {
            event.stopPropagation();
            session.remove(object.id);
          }}
        >
          <Trash2 size={15} aria-hidden />
        </button>
      </div>
    </div>
  );
});
