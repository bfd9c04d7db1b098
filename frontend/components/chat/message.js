'use client';
/** One message as an article: text only when it was verified, else the named reason why it is not shown. */
import { memo, useId } from 'react';
import { useMessageActions } from '../../hooks/useMessages.js';
import { failureWords } from '../../hooks/words.js';
import { Avatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { clockTime, dateOf, fullTime } from '../ui/time.js';
import { DeliveryMark, SignatureMark } from './marks.js';
import { timeOf } from './rows.js';
import styles from './message.module.css';

/** @typedef {import('../../lib/types.js').MessageItem} MessageItem */

/** An own message that never got its place on the server; everything else that failed was refused by this reader. @param {MessageItem} item */
function isUnsent(item) {
  return item.mine && item.seq === null && item.state === 'failed';
}

/** @param {{item: MessageItem, id: string}} props */
function Body({ item, id }) {
  const unsent = isUnsent(item);
  if (item.state === 'failed' && !unsent) {
    const { title, explain } = failureWords(item.reason ?? 'malformed');
    return (
      <div id={id} className={styles.refused}>
        <Icon name="broken" />
        <p>
          <strong>{title}.</strong> {item.explain || explain}
        </p>
      </div>
    );
  }
  const payload = item.payload;
  if (!payload) return null;
  if (payload.deleted) {
    return (
      <p id={id} className={styles.note}>
        This message was deleted.
      </p>
    );
  }
  if (payload.type !== 'text') {
    return (
      <p id={id} className={styles.note}>
        A kind of message that this page cannot show: “{payload.type}”.
      </p>
    );
  }
  return (
    <p id={id} className={styles.body} dir="auto">
      {payload.body}
    </p>
  );
}

/** @param {{chatId: string, item: MessageItem}} props */
function Unsent({ chatId, item }) {
  const { retry, discard } = useMessageActions();
  const { title, explain } = failureWords(item.reason ?? 'unavailable');
  return (
    <div className={styles.unsent} role="alert">
      <p>
        <strong>Not sent: {title}.</strong> {item.explain || explain}
      </p>
      <div>
        <Button small onClick={() => void retry(chatId, item.id)}>
          Retry
        </Button>
        <Button small kind="danger" onClick={() => void discard(chatId, item.id)}>
          Delete
        </Button>
      </div>
    </div>
  );
}

/** @param {{item: MessageItem}} props */
function Meta({ item }) {
  const refused = item.state === 'failed' && !isUnsent(item);
  const at = timeOf(item);
  return (
    <>
      {item.payload?.edited ? <span>edited</span> : null}
      {item.alg ? (
        <SignatureMark alg={item.alg} valid={refused ? false : item.seq === null ? null : true} />
      ) : null}
      <time dateTime={dateOf(at)?.toISOString()} title={fullTime(at)}>
        {clockTime(at)}
      </time>
      {item.mine && !refused ? <DeliveryMark state={item.state} /> : null}
    </>
  );
}

/** @param {{reactions: Record<string, string[]>}} props */
function Reactions({ reactions }) {
  const entries = Object.entries(reactions).filter(([, usernames]) => usernames.length > 0);
  if (entries.length === 0) return null;
  return (
    <ul className={styles.reactions}>
      {entries.map(([emoji, usernames]) => (
        <li key={emoji} title={usernames.map((name) => `@${name}`).join(', ')}>
          {emoji} {usernames.length}
        </li>
      ))}
    </ul>
  );
}

/**
 * @param {{chatId: string, item: MessageItem, name: string, first: boolean, last: boolean, direct: boolean}} props
 *   first, last: of a run of the same sender; direct: a chat of two, where the sender needs no line
 */
function Article({ chatId, item, name, first, last, direct }) {
  const id = useId();
  const failed = item.state === 'failed';
  const warnings = item.warnings.length > 0 ? item.warnings.join(' ') : undefined;
  return (
    <li
      className={styles.item}
      data-mine={item.mine}
      data-first={first}
      data-last={last}
      data-direct={direct}
    >
      {!item.mine && !direct && first ? (
        <span className={styles.face}>
          <Avatar name={name} seed={item.from} size="small" />
        </span>
      ) : null}
      <article
        className={styles.bubble}
        tabIndex={-1}
        aria-labelledby={`${id}-from ${id}-body ${id}-meta`}
        data-id={item.id}
        data-state={item.state}
        data-alg={item.alg}
        data-reason={failed ? (item.reason ?? 'malformed') : undefined}
        data-warning={warnings}
      >
        <div id={`${id}-from`} className={!item.mine && !direct && first ? styles.from : 'sr'}>
          {item.mine ? 'You' : name} <span>@{item.from}</span>
        </div>
        <Body item={item} id={`${id}-body`} />
        {item.warnings.map((warning) => (
          <p key={warning} className={styles.warning} title={failureWords(warning).explain}>
            <Icon name="warning" size="small" /> {failureWords(warning).title}
          </p>
        ))}
        {isUnsent(item) ? <Unsent chatId={chatId} item={item} /> : null}
        <div id={`${id}-meta`} className={styles.meta}>
          <Meta item={item} />
        </div>
      </article>
      {item.payload?.reactions ? <Reactions reactions={item.payload.reactions} /> : null}
    </li>
  );
}

export const Message = memo(Article);
