/** The mark beside the name of a person whose safety number the user has compared. Nothing else on the page is green. */
import { Icon } from '../ui/icon.js';
import styles from './security.module.css';

/** @param {{verified: boolean|undefined}} props  draws nothing for who is not verified */
export function VerifiedMark({ verified }) {
  if (!verified) return null;
  return (
    <span className={styles.mark} title="Verified: you have compared safety numbers">
      <Icon name="verified" size="small" />
      <span className="sr">, verified</span>
    </span>
  );
}
