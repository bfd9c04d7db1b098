'use client';
/** The messages of the open chat, oldest first, with paging upwards. New ones are announced apart from the list. */
import { useState } from 'react';
import { useMessageActions, useReadMark } from '../../hooks/useMessages.js';
import { Icon } from '../ui/icon.js';
import { EventLine } from './event-line.js';
import { onMessageKey } from './message-keys.js';
import { Message } from './message.js';
import { displayNameOf, otherOf } from './people.js';
import { daysOf, firstUnread } from './rows.js';
import { useTimelineScroll } from './use-timeline-scroll.js';
import styles from './timeline.module.css';

/** @typedef {import('../../lib/types.js').ChatView} ChatView @typedef {import('../../lib/types.js').OpenView} OpenView */
/** @typedef {Record<string, import('../../lib/types.js').PersonView>} People */

/**
 * Where the divider stands: fixed once the newest page is here, gone once the user has answered.
 * @param {OpenView|undefined} view @param {boolean} opened @param {number} unread
 */
function useNewFrom(view, opened, unread) {
  const [newFrom, setNewFrom] = useState(/** @type {string|null|undefined} */ (undefined));
  if (newFrom === undefined && view && opened) setNewFrom(firstUnread(view.items, unread, view.atStart));
  const last = view?.items.at(-1);
  if (newFrom && last?.kind === 'message' && last.mine) setNewFrom(null);
  return newFrom ?? null;
}

/** @param {{view: OpenView|undefined, opened: boolean, chat: ChatView, people: People}} props */
function Announcer({ view, opened, chat, people }) {
  const last = view?.items.at(-1);
  const [start, setStart] = useState(/** @type {string|null|undefined} */ (undefined));
  if (start === undefined && opened) setStart(last?.key ?? null);
  const news = last?.kind === 'message' && !last.mine && start !== undefined && last.key !== start;
  return (
    <p className="sr" role="status">
      {news ? `New message from ${displayNameOf(people, chat, last.from)}` : ''}
    </p>
  );
}

/** @typedef {(deed: import('./message-actions.js').Deed, item: import('../../lib/types.js').MessageItem) => void} OnDeed */

/** @param {{row: import('./rows.js').Row, chat: ChatView, people: People, me: string, onDeed: OnDeed}} props */
function Line({ row, chat, people, me, onDeed }) {
  if (row.type === 'new') {
    return (
      <li className={styles.new} data-divider>
        <span>New</span>
      </li>
    );
  }
  if (row.type === 'event') return <EventLine item={row.item} chat={chat} people={people} me={me} />;
  const { from, warnings } = row.item;
  const verified = people[from]?.verified === true && !warnings.includes('unconfirmed_key');
  return (
    <Message
      chatId={chat.id}
      item={row.item}
      me={me}
      verified={verified}
      frozen={chat.removed === true}
      onDeed={onDeed}
      first={row.first}
      last={row.last}
      direct={otherOf(chat, me) !== null}
      name={displayNameOf(people, chat, from)}
    />
  );
}

/** What stands where nobody has written yet: who is in it, in which mode, and where safety numbers are. @param {ChatView} chat */
function emptyWords(chat) {
  if (chat.removed) return 'Nothing was written here.';
  if (chat.keyMode === 'server') {
    return 'Nobody has written yet. What you write is encrypted here and signed by you.';
  }
  return `Nobody has written yet. Only the ${chat.members.length} members can read what is written here; “Members” has the safety numbers.`;
}

/**
 * @param {{chat: ChatView, view: OpenView|undefined, opened: boolean, people: People, me: string, onDeed: OnDeed}} props
 *   onDeed: keeps its reference, or every message is drawn again
 */
export function Timeline({ chat, view, opened, people, me, onDeed }) {
  const { loadOlder } = useMessageActions();
  const newFrom = useNewFrom(view, opened, chat.unread);
  const days = daysOf(view?.items ?? [], newFrom);
  const loading = !view || !opened || view.loading;
  const loadMore = loading || view.atStart ? null : () => loadOlder(chat.id);
  const { ref, onScroll, atBottom, toBottom, missed } = useTimelineScroll(view, opened, loadMore);
  useReadMark(chat.id, atBottom && days.length > 0, chat.lastSeq, chat.unread);
  const empty = !loading && !view.items.some(({ kind }) => kind === 'message');

  return (
    <div className={styles.frame}>
      <div
        ref={ref}
        className={styles.list}
        role="log"
        aria-label="Messages"
        aria-live="off"
        aria-busy={loading}
        tabIndex={0}
        onScroll={onScroll}
        onKeyDown={onMessageKey}
      >
        {loading ? (
          <p className={styles.pill}>
            <span>Loading…</span>
          </p>
        ) : null}
        {days.map((day) => (
          <section key={day.key} className={styles.day} aria-label={day.words}>
            <p className={styles.pill} aria-hidden="true">
              <span>{day.words}</span>
            </p>
            <ol>
              {day.rows.map((row) => (
                <Line key={row.key} row={row} chat={chat} people={people} me={me} onDeed={onDeed} />
              ))}
            </ol>
          </section>
        ))}
        {empty ? <p className={styles.empty}>{emptyWords(chat)}</p> : null}
      </div>
      {atBottom ? null : (
        <button type="button" className={styles.down} aria-label="Jump to the newest" onClick={toBottom}>
          <Icon name="down" />
          {missed > 0 ? <span>{missed > 99 ? '99+' : missed}</span> : null}
        </button>
      )}
      <Announcer view={view} opened={opened} chat={chat} people={people} />
    </div>
  );
}
