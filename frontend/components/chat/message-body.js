'use client';
/** What a message says: text only when it was verified, else the named reason why it is not shown. */
import { failureWords } from '../../hooks/words.js';
import { Icon } from '../ui/icon.js';
import { Attachments } from './attachments.js';
import { Quote } from './quote.js';
import styles from './message.module.css';

/** @typedef {import('../../lib/types.js').MessageItem} MessageItem */

/** An own message that never got its place on the server; everything else that failed was refused by this reader. @param {MessageItem} item */
export function isUnsent(item) {
  return item.mine && item.seq === null && item.state === 'failed';
}

/** @param {{item: MessageItem, id: string}} props */
function Refused({ item, id }) {
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

/** @param {{chatId: string, me: string, item: MessageItem, id: string}} props */
export function Body({ chatId, me, item, id }) {
  if (item.state === 'failed' && !isUnsent(item)) return <Refused item={item} id={id} />;
  const payload = item.payload;
  if (!payload) return null;
  if (payload.deleted || payload.type !== 'text') {
    return (
      <p id={id} className={styles.note}>
        {payload.deleted
          ? 'This message was deleted.'
          : `A kind of message that this page cannot show: “${payload.type}”.`}
      </p>
    );
  }
  return (
    <>
      {payload.reply_to ? <Quote chatId={chatId} me={me} target={item.replyTo ?? null} /> : null}
      {payload.attachments?.length ? <Attachments chatId={chatId} attachments={payload.attachments} /> : null}
      <p id={id} className={styles.body} dir="auto">
        {payload.body}
      </p>
    </>
  );
}
