import { CircleX, Info, TriangleAlert, X } from "lucide-react";
import { memo, useEffect, useState } from "react";
import type { Notice } from "../session/session";
import styles from "./Notices.module.css";
import { useSession, useStudio } from "./StudioContext";

const ICONS = { info: Info, warning: TriangleAlert, error: CircleX };
/** Errors stay until they are dismissed. */
const STAYS_MS = { info: 6_000, warning: 15_000, error: null };

const Toast = memo(function Toast({ notice }: { notice: Notice }) {
  const session = useSession();
  const [held, setHeld] = useState(false);
  const { id, kind, text } = notice;
  const Icon = ICONS[kind];

  useEffect(() => {
    const stays = STAYS_MS[kind];
    if (stays === null || held) return;
    const timer = setTimeout(() => {
      session.dismiss(id);
    }, stays);
    return () => {
      clearTimeout(timer);
    };
  }, [id, kind, held, session]);

  return (
    <li
      className={styles.notice}
      data-testid="notice"
      data-kind={kind}
      role={kind === "error" ? "alert" : undefined}
      onPointerEnter={() => {
        setHeld(true);
      }}
      onPointerLeave={() => {
        setHeld(false);
      }}
    >
      <Icon size={16} className={styles.icon} aria-hidden />
      <p className={styles.text}>{text}</p>
      <button
        type="button"
        className={styles.close}
        aria-label="Dismiss"
        onClick={() => {
          session.dismiss(id);
        }}
      >
        <X size={14} aria-hidden />
      </button>
    </li>
  );
});

/** What the page has to say, for a while; also to screen readers. */
export function Notices() {
  const notices = useStudio((state) => state.notices);
  return (
    <ul className={styles.notices} aria-live="polite" aria-label="Notices">
      {notices.map((notice) => (
        <Toast key={notice.id} notice={notice} />
      ))}
    </ul>
  );
}
