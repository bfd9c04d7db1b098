/** How far a log-in or a registration is: making keys can take seconds on a phone. */
import styles from './account.module.css';

/** @type {Record<string, string>} */
const WORDS = {
  password: 'Protecting your password…',
  keys: 'Making your keys…',
  account: 'Talking to the server…',
  backup: 'Locking up your key backup…',
  history: 'Fetching your chats…',
};

/** @param {{progress: import('../../lib/types.js').Progress|null}} props */
export function Progress({ progress }) {
  const words = (progress && WORDS[progress.step]) || 'One moment…';
  return (
    <div className={styles.progress} role="status">
      <span>{words}</span>
      <progress aria-label="Progress" max={progress?.of || 1} value={progress?.done ?? undefined} />
    </div>
  );
}
