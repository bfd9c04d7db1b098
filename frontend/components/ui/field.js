/** A labelled input with a hint and an error below it, tied together for assistive technology. */
import { useId } from 'react';
import styles from './field.module.css';

/**
 * @param {{label: string, hint?: React.ReactNode, error?: string|null}
 *   & React.InputHTMLAttributes<HTMLInputElement> & {ref?: React.Ref<HTMLInputElement>}} props
 */
export function Field({ label, hint, error, ...input }) {
  const id = useId();
  return (
    <div className={styles.field}>
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        className={styles.input}
        aria-invalid={error ? true : undefined}
        aria-describedby={`${id}-note`}
      />
      <div id={`${id}-note`} className={error ? styles.error : styles.hint}>
        {error || hint}
      </div>
    </div>
  );
}
