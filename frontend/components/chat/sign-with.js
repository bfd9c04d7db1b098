/** Chooses the algorithm that signs the next message; its values are the algorithm ids. */
import { ALGORITHMS } from '../../hooks/words.js';
import styles from './composer.module.css';

/** @param {{value: string, onChange: (alg: string) => void}} props */
export function SignWith({ value, onChange }) {
  return (
    <select
      className={styles.alg}
      aria-label="Sign with"
      title="Sign with"
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      {ALGORITHMS.map(({ id, label, legacy }) => (
        <option key={id} value={id}>
          {legacy && !/legacy/i.test(label) ? `${label} (legacy)` : label}
        </option>
      ))}
    </select>
  );
}
