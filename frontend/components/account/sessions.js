'use client';
/** Where the account is logged in, and ending what should not be. */
import { useAction } from '../../hooks/useAction.js';
import { useSessions } from '../../hooks/useSecurity.js';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';
import { clockTime, dateOf, dayWords, fullTime } from '../ui/time.js';
import { agentWords } from './agent.js';
import styles from './security.module.css';

/** @param {{at: string}} props */
function When({ at }) {
  return (
    <time dateTime={dateOf(at)?.toISOString()} title={fullTime(at)}>
      {dayWords(at)}, {clockTime(at)}
    </time>
  );
}

export function Sessions() {
  const { sessions, failure, end } = useSessions();
  const { busy, problem, run } = useAction();
  return (
    <div className={styles.view}>
      <p>Everywhere you are logged in. End what you do not know, and then change your password.</p>
      {sessions ? (
        <ul className={styles.sessions} aria-label="Sessions">
          {sessions.map(({ id, agent, createdAt, usedAt, current }) => (
            <li key={id} data-current={current}>
              <span className={styles.words}>
                <strong>
                  <bdi>{agentWords(agent)}</bdi>
                  {current ? ' (this one)' : ''}
                </strong>
                <span>
                  Last used: <When at={usedAt} />
                </span>
                <span>
                  Since: <When at={createdAt} />
                </span>
              </span>
              {current ? null : (
                <Button
                  small
                  kind="danger"
                  disabled={busy !== ''}
                  aria-label={`End session: ${agentWords(agent)}`}
                  onClick={() => void run(id, () => end(id))}
                >
                  End session
                </Button>
              )}
            </li>
          ))}
        </ul>
      ) : failure ? null : (
        <p role="status">One moment…</p>
      )}
      {(failure ?? problem) ? <Notice tone="danger">{failure ?? problem}</Notice> : null}
    </div>
  );
}
