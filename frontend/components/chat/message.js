'use client';
/** One message as an article, with its marks, and what can be done with it while the pointer or the focus is there. */
import { memo, useId, useState } from 'react';
import { useMessageActions } from '../../hooks/useMessages.js';
import { errorWords, failureWords } from '../../hooks/words.js';
import { VerifiedMark } from '../security/verified-mark.js';
import { Avatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Notice } from '../ui/notice.js';
import { clockTime, dateOf, fullTime } from '../ui/time.js';
import { canAct } from './deed.js';
import { DeliveryMark, SignatureMark } from './marks.js';
import { MessageActions } from './message-actions.js';
import { Body, isUnsent } from './message-body.js';
import { Reactions } from './reactions.js';
import { timeOf } from './rows.js';
import styles from './message.module.css';

/** @typedef {import('../../lib/types.js').MessageItem} MessageItem @typedef {import('./message-actions.js').Deed} Deed */

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

/** @param {{item: MessageItem, verified: boolean}} props */
function Meta({ item, verified }) {
  const refused = item.state === 'failed' && !isUnsent(item);
  const at = timeOf(item);
  return (
    <>
      {item.payload?.edited ? <span>edited</span> : null}
      {item.alg ? (
        <SignatureMark
          alg={item.alg}
          valid={refused ? false : item.seq === null ? null : true}
          verified={verified}
        />
      ) : null}
      <time dateTime={dateOf(at)?.toISOString()} title={fullTime(at)}>
        {clockTime(at)}
      </time>
      {item.mine && !refused ? <DeliveryMark state={item.state} /> : null}
    </>
  );
}

/** Is the pointer over it, or the focus in it? Only then its actions are there. */
function useNear() {
  const [near, setNear] = useState(false);
  const handlers = {
    onPointerEnter: () => setNear(true),
    /** @param {React.PointerEvent<HTMLElement>} event */
    onPointerLeave: (event) => setNear(event.currentTarget.contains(document.activeElement)),
    onFocus: () => setNear(true),
    /** @param {React.FocusEvent<HTMLElement>} event */
    onBlur: (event) => setNear(event.currentTarget.contains(event.relatedTarget)),
  };
  return { near, handlers };
}

/**
 * @param {{chatId: string, item: MessageItem, name: string, first: boolean, last: boolean, direct: boolean, me: string,
 *   verified: boolean, frozen: boolean, onDeed: (deed: Deed, item: MessageItem) => void}} props
 *   first, last: of a run of the same sender; direct: a chat of two, where the sender needs no line; frozen: nothing
 *   can be sent into this chat any more
 */
function Article({ chatId, item, name, first, last, direct, me, verified, frozen, onDeed }) {
  const id = useId();
  const { react } = useMessageActions();
  const { near, handlers } = useNear();
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));
  const failed = item.state === 'failed';
  const warnings = item.warnings.length > 0 ? item.warnings.join(' ') : undefined;
  const named = !item.mine && !direct && first;
  const reactions = item.payload?.reactions ?? {};
  const onProblem = (/** @type {Error} */ error) => setProblem(errorWords(error));

  /** @param {string} emoji @param {boolean} on */
  function onReact(emoji, on) {
    setProblem(null);
    react(chatId, item.id, emoji, on).catch(onProblem);
  }

  return (
    <li
      className={styles.item}
      data-mine={item.mine}
      data-first={first}
      data-last={last}
      data-direct={direct}
      {...handlers}
    >
      {named ? (
        <span className={styles.face}>
          <Avatar name={name} seed={item.from} size="small" />
        </span>
      ) : null}
      <article
        className={styles.bubble}
        tabIndex={-1}
        aria-labelledby={`${id}-from ${id}-body ${id}-meta`}
        data-id={item.id}
        data-from={item.from}
        data-state={item.state}
        data-alg={item.alg}
        data-reason={failed ? (item.reason ?? 'malformed') : undefined}
        data-warning={warnings}
      >
        <div id={`${id}-from`} className={named ? styles.from : 'sr'}>
          {item.mine ? 'You' : name} <span>@{item.from}</span>
          <VerifiedMark verified={verified} />
        </div>
        <Body chatId={chatId} me={me} item={item} id={`${id}-body`} />
        {item.warnings.map((warning) => (
          <p key={warning} className={styles.warning} title={failureWords(warning).explain}>
            <Icon name="warning" size="small" /> {failureWords(warning).title}
          </p>
        ))}
        {isUnsent(item) ? <Unsent chatId={chatId} item={item} /> : null}
        <div id={`${id}-meta`} className={styles.meta}>
          <Meta item={item} verified={verified} />
        </div>
        {near && !frozen && canAct(item) ? (
          <MessageActions
            mine={item.mine}
            reactions={reactions}
            me={me}
            onDeed={(deed) => onDeed(deed, item)}
            onReact={onReact}
          />
        ) : null}
      </article>
      {item.payload?.reactions ? (
        <Reactions
          chatId={chatId}
          messageId={item.id}
          reactions={reactions}
          me={me}
          frozen={frozen}
          onProblem={onProblem}
        />
      ) : null}
      {problem ? (
        <div className={styles.problem}>
          <Notice tone="danger">{problem}</Notice>
        </div>
      ) : null}
    </li>
  );
}

export const Message = memo(Article);
