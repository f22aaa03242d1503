import { X } from "lucide-react";
import { useEffect, useId, useRef, type KeyboardEvent, type ReactNode } from "react";
import styles from "./Dialog.module.css";

interface Props {
  title: string;
  testId: string;
  wide?: boolean;
  onClose(): void;
  onKeyDown?(event: KeyboardEvent): void;
  children: ReactNode;
  /** Buttons at the bottom. */
  footer?: ReactNode;
}

/**
 * A dialog over the page. The browser keeps the focus in it, and gives it back. It begins at what has the attribute
 * `data-focused`.
 */
export function Dialog({ title, testId, wide = false, onClose, onKeyDown, children, footer }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();

  useEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    element.showModal();
    (element.querySelector<HTMLElement>("[data-focused]") ?? element).focus();
    return () => {
      element.close();
    };
  }, []);

  return (
    <dialog
      ref={dialog}
      className={styles.dialog}
      data-testid={testId}
      data-wide={wide}
      aria-labelledby={id}
      tabIndex={-1}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div className={styles.frame}>
        <header className={styles.header}>
          <h2 id={id} className={styles.title}>
            {title}
          </h2>
          <button type="button" className={styles.close} aria-label="Close" onClick={onClose}>
            <X size={16} aria-hidden />
          </button>
        </header>
        <div className={styles.content}>{children}</div>
        {footer !== undefined && <footer className={styles.footer}>{footer}</footer>}
      </div>
    </dialog>
  );
}
