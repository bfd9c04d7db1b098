/** The first thing on screen while the page wakes up; also the frame for what stopped it. */
import { Brand } from './brand.js';
import styles from './splash.module.css';

/** @param {{children?: React.ReactNode}} props */
export function Splash({ children }) {
  return (
    <main className={styles.splash}>
      <h1>
        <Brand size="large" />
      </h1>
      {children ?? (
        <p className={styles.wait} role="status">
          One moment…
        </p>
      )}
    </main>
  );
}
