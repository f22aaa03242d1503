import { GROUPS, type Action } from "../actions/action";
import { GESTURES } from "../actions/gestures";
import { keyText } from "../actions/keys";
import { ACTIONS } from "../actions/registry";
import { Dialog } from "./Dialog";
import styles from "./HelpSheet.module.css";
import { MAC, useContextOfStudio } from "./StudioContext";

function Keys({ action }: { action: Action }) {
  if (action.keysShown !== undefined) return <kbd>{action.keysShown}</kbd>;
  return action.keys.map((key) => <kbd key={key}>{keyText(key, MAC)}</kbd>);
}

/** Everything that can be done, with its keys, made from the actions themselves. */
export function HelpSheet() {
  const { page } = useContextOfStudio();
  return (
    <Dialog
      title="Keys and gestures"
      testId="help-sheet"
      wide
      onClose={page.closeDialog}
      onKeyDown={(event) => {
        if (event.key !== "?") return;
        // Else the same key press would open it again.
        event.preventDefault();
        page.closeDialog();
      }}
    >
      <div className={styles.columns}>
        <section className={styles.group} aria-label="Pointer">
          <h3 className={styles.title}>Pointer</h3>
          <dl>
            {GESTURES.map(([gesture, effect]) => (
              <div className={styles.line} key={gesture}>
                <dt>{effect}</dt>
                <dd className={styles.gesture}>{gesture}</dd>
              </div>
            ))}
          </dl>
        </section>
        {GROUPS.map((group) => (
          <section className={styles.group} key={group} aria-label={group}>
            <h3 className={styles.title}>{group}</h3>
            <dl>
              {ACTIONS.filter((action) => action.group === group).map((action) => (
                <div className={styles.line} key={action.name} data-action={action.name}>
                  <dt title={action.hint}>{action.label}</dt>
                  <dd className={styles.keys}>
                    <Keys action={action} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
