/** The project's mark and name. */
import styles from './brand.module.css';

/** @param {{size?: 'small'|'large'}} props */
export function Brand({ size = 'small' }) {
  return (
    <span className={`${styles.brand} ${styles[size]}`}>
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect className={styles.ground} width="32" height="32" rx="9" />
        <path
          className={styles.bubble}
          d="M9 8h14a3 3 0 0 1 3 3v8a3 3 0 0 1-3 3h-6l-5 4v-4H9a3 3 0 0 1-3-3v-8a3 3 0 0 1 3-3z"
        />
        <path className={styles.hook} d="M13.6 14v-1.1a2.4 2.4 0 0 1 4.8 0V14" />
        <rect className={styles.ground} x="12.2" y="13.8" width="7.6" height="5.2" rx="1.2" />
      </svg>
      <span>Chat-Sec</span>
    </span>
  );
}
