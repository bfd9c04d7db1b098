/** The small marks of a message: what became of an own one, and what its signature was worth. Words stand in each. */
import { algorithmLabel } from '../../hooks/words.js';
import { Icon } from '../ui/icon.js';
import styles from './message.module.css';

/** @type {Record<string, string>} */
const STATE_WORDS = {
  queued: 'Waiting to send',
  sent: 'Sent',
  delivered: 'Delivered',
  read: 'Read',
  failed: 'Not sent',
};

/** @param {{double?: boolean}} props */
function Ticks({ double = false }) {
  return (
    <svg className={styles.ticks} viewBox="0 0 20 12" aria-hidden="true">
      <path d={double ? 'M1.5 6.5l3.5 3.5L12 2.5M9.2 9.3l.8.7L17.5 2.5' : 'M5 6.5l3.5 3.5L16 2.5'} />
    </svg>
  );
}

/** @param {{state: string}} props */
export function DeliveryMark({ state }) {
  const words = STATE_WORDS[state] ?? state;
  return (
    <span className={styles.mark} data-mark={state} title={words}>
      {state === 'queued' ? <Icon name="clock" size="small" /> : null}
      {state === 'failed' ? <Icon name="alert" size="small" /> : null}
      {state === 'sent' ? <Ticks /> : null}
      {state === 'delivered' || state === 'read' ? <Ticks double /> : null}
      <span className="sr">{words}</span>
    </span>
  );
}

/**
 * @param {{alg: string, valid: boolean|null, verified?: boolean}} props  valid: null while nobody but the author has
 *   judged it; verified: the user has compared safety numbers with the author
 */
export function SignatureMark({ alg, valid, verified = false }) {
  const label = algorithmLabel(alg);
  const sure = valid === true && verified;
  const words =
    valid === false
      ? 'Not accepted'
      : sure
        ? 'Signature valid, person verified'
        : valid
          ? 'Signature valid'
          : 'Signed';
  return (
    <span
      className={styles.signature}
      data-valid={valid ?? undefined}
      data-verified={sure}
      title={`${words}, ${label}`}
    >
      <Icon name={valid === false ? 'broken' : sure ? 'verified' : 'shield'} size="small" />
      <span className="sr">{words}, </span>
      {label}
    </span>
  );
}
