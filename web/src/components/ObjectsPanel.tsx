import { useEffect } from "react";
import { OBJECT_BAR } from "../actions/registry";
import { ActionButton } from "./ActionButton";
import { LabelKeys } from "./LabelKeys";
import { NewObjectsLabel } from "./NewObjectsLabel";
import { ObjectRow } from "./ObjectRow";
import styles from "./ObjectsPanel.module.css";
import { PendingObject } from "./PendingObject";
import { usePage, useStudio } from "./StudioContext";
import { useRows } from "./useRows";

const ROW_HEIGHT = 34;

const NOTHING = { loading: "Loading…", loaded: "None yet", failed: "They could not be read. Open the picture again." };

/** Why there are no objects in the list. */
function Nothing() {
  const objects = useStudio((state) => (state.picture === null ? null : state.objectsState));
  if (objects === null) return null;
  return (
    <p className={styles.nothing} data-state={objects}>
      {NOTHING[objects]}
    </p>
  );
}

function ObjectList() {
  const objects = useStudio((state) => state.objects);
  const selected = useStudio((state) => state.selected);
  const labelling = usePage((state) => (state.labelling?.kind === "object" ? state.labelling.id : null));
  const { scroller, first, last, reveal } = useRows(objects.length, ROW_HEIGHT);
  const target = labelling ?? selected;
  const index = objects.findIndex(({ id }) => id === target);

  useEffect(() => {
    reveal(index);
  }, [index, reveal]);

  return (
    <div
      ref={scroller}
      className={styles.list}
      data-testid="object-list"
      role="grid"
      aria-label="Objects"
      aria-rowcount={objects.length}
      tabIndex={0}
    >
      <div role="presentation" style={{ height: objects.length * ROW_HEIGHT }}>
        <div role="rowgroup" style={{ paddingTop: first * ROW_HEIGHT }}>
          {objects.slice(first, last).map((object, place) => (
            <ObjectRow
              key={object.id}
              object={object}
              index={first + place}
              selected={object.id === selected}
              labelling={object.id === labelling}
            />
          ))}
        </div>
      </div>
      {objects.length === 0 && selected === null && <Nothing />}
      {selected !== null && index < 0 && <PendingObject id={selected} labelling={labelling === selected} />}
    </div>
  );
}

/** The objects of the picture, at the right. */
export function ObjectsPanel() {
  const count = useStudio((state) => state.objects.length);
  return (
    <section className={styles.panel} aria-labelledby="objects-title">
      <header className={styles.header}>
        <h2 id="objects-title" className={styles.title}>
          Objects
        </h2>
        <span className={styles.quiet}>{count.toLocaleString("en")}</span>
      </header>
      <NewObjectsLabel />
      <ObjectList />
      <LabelKeys />
      <footer className={styles.footer} role="toolbar" aria-label="Selected object">
        {OBJECT_BAR.map((action) => (
          <ActionButton key={action.name} action={action} side="above" />
        ))}
      </footer>
    </section>
  );
}
