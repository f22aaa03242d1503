import { acceptAllProposals } from "../actions/acceptAllProposals";
import { ActionButton } from "./ActionButton";
import styles from "./ProposalsBar.module.css";
import { useStudio } from "./StudioContext";

/** What the everything tool has found, and what to do with it. */
export function ProposalsBar() {
  const count = useStudio(({ tool, proposals }) => (tool === "everything" ? (proposals?.length ?? null) : null));
  if (count === null) return null;
  return (
    <div className={styles.bar} data-testid="proposals" data-count={count}>
      <span role="status">
        {count === 0
          ? "Nothing more is proposed here"
          : `${count.toLocaleString("en")} proposed: click accepts, right-click rejects`}
      </span>
      {count > 0 && <ActionButton action={acceptAllProposals} side="above" labelled />}
    </div>
  );
}
