import { ImageOff } from "lucide-react";
import styles from "./Stage.module.css";

interface StageMessageProps {
  title: string;
  text: string;
  /** Offered as a button, if given. */
  onRetry?: () => void;
}

/** Stands where the picture should be, and says why it does not. */
export function StageMessage({ title, text, onRetry }: StageMessageProps) {
  return (
    <div className={styles.message} role="alert" data-testid="stage-message">
      <ImageOff size={20} aria-hidden />
      <div>
        <strong>{title}</strong>
        <p>{text}</p>
        {onRetry && (
          <button type="button" className={styles.retry} onClick={onRetry}>
            Try again
          </button>
        )}
      </div>
    </div>
  );
}
