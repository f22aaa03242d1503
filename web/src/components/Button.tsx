import type { ComponentProps } from "react";
import styles from "./Button.module.css";

interface Props extends ComponentProps<"button"> {
  primary?: boolean;
}

/** A button with words, as dialogs have them. */
export function Button({ primary = false, ...rest }: Props) {
  return <button type="button" className={styles.button} data-primary={primary} {...rest} />;
}
