'use client';
/** The files of a message: images in a box of a fixed size, everything else as something to save. */
import { useEffect, useRef, useState } from 'react';
import { useOpened } from '../../hooks/useAttachments.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Icon } from '../ui/icon.js';
import { saveUrl } from '../ui/save.js';
import { isImage, isShownUnasked, plainName, sizeWords } from './file.js';
import styles from './attachments.module.css';

/** @typedef {import('../../lib/types.js').Attachment} Attachment @typedef {ReturnType<typeof useOpened>} Opened */

/** Calls `reached` once, when the element first comes into view. @param {boolean} wanted @param {() => void} reached */
function useReached(wanted, reached) {
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  useEffect(() => {
    if (!wanted || !ref.current) return undefined;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      reached();
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [wanted, reached]);
  return ref;
}

/** @param {{attachment: Attachment, opened: Opened}} props */
function FileRow({ attachment, opened }) {
  const name = plainName(attachment.name);
  const { state, done, open, cancel, problem } = opened;
  return (
    <div className={styles.file}>
      <Icon name="file" />
      <span className={styles.words}>
        <bdi className={styles.name}>{name}</bdi>
        <span className={styles.size}>{sizeWords(attachment.size)}</span>
      </span>
      {state === 'opening' ? (
        <>
          <progress aria-label={`Fetching ${name}`} max={1} value={done} />
          <Button small aria-label={`Cancel ${name}`} onClick={cancel}>
            Cancel
          </Button>
        </>
      ) : (
        <Button
          small
          aria-label={`Download ${name}`}
          onClick={() => void open().then((url) => url && saveUrl(url, name))}
        >
          <Icon name="download" size="small" /> Download
        </Button>
      )}
      {problem ? (
        <p className={styles.problem} role="alert">
          {problem}
        </p>
      ) : null}
    </div>
  );
}

/** @param {{attachment: Attachment, opened: Opened}} props */
function ImageBox({ attachment, opened }) {
  const name = plainName(attachment.name);
  const { state, url, open } = opened;
  const [large, setLarge] = useState(false);
  const [broken, setBroken] = useState(false);
  const ref = useReached(isShownUnasked(attachment) && state === 'closed', open);
  return (
    <div ref={ref} className={styles.box}>
      {state === 'open' && !broken ? (
        <button
          type="button"
          className={styles.image}
          aria-label={`Show ${name} large`}
          onClick={() => setLarge(true)}
        >
          {/* eslint-disable-next-line @next/next/no-img-element -- a blob: URL of this page */}
          <img src={url} alt={name} onError={() => setBroken(true)} />
        </button>
      ) : null}
      {broken ? <p>This file is not an image that can be shown.</p> : null}
      {state === 'closed' && !isShownUnasked(attachment) ? (
        <Button small onClick={() => void open()}>
          Show image
        </Button>
      ) : null}
      {state === 'opening' ? <p role="status">Fetching the image…</p> : null}
      {large ? (
        <Dialog title={name} size="large" onClose={() => setLarge(false)}>
          <div className={styles.large}>
            {/* eslint-disable-next-line @next/next/no-img-element -- a blob: URL of this page */}
            <img src={url} alt={`${name}, large`} />
          </div>
        </Dialog>
      ) : null}
    </div>
  );
}

/** @param {{chatId: string, attachment: Attachment}} props */
function One({ chatId, attachment }) {
  const opened = useOpened(chatId, attachment);
  return (
    <li>
      {isImage(attachment) ? <ImageBox attachment={attachment} opened={opened} /> : null}
      <FileRow attachment={attachment} opened={opened} />
    </li>
  );
}

/** @param {{chatId: string, attachments: Attachment[]}} props */
export function Attachments({ chatId, attachments }) {
  return (
    <ul className={styles.list} aria-label="Files">
      {attachments.map((attachment) => (
        <One key={attachment.id} chatId={chatId} attachment={attachment} />
      ))}
    </ul>
  );
}
