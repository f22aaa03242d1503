import { TOOL_BAR } from "../actions/registry";
import { ActionButton } from "./ActionButton";
import styles from "./ToolBar.module.css";

/** The bar at the left. */
export function ToolBar() {
  return (
    <div className={styles.bar} role="toolbar" aria-label="Tools" aria-orientation="vertical">
      {TOOL_BAR.map((group) => (
        <div className={styles.group} key={group[0]?.name}>
          {group.map((action) => (
            <ActionButton key={action.name} action={action} side="right" />
          ))}
        </div>
      ))}
    </div>
  );
}
