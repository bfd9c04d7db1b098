'use client';
/** What stands above the field: whom one answers, what one edits, which files go along. */
import { LARGEST, MOST } from '../../hooks/trays.js';
import { IconButton, Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { preview } from './deed.js';
import { plainName, sizeWords } from './file.js';
import files from './attachments.module.css';
import styles from './composer.module.css';

/** @param {{target: import('./drafts.js').Target, name: string, onClose: () => void}} props  name: of who wrote what is answered */
export function TargetBar({ target, name, onClose }) {
  const editing = target.kind === 'edit';
  return (
    <div className={styles.bar} role="group" aria-label={editing ? 'Edit' : 'Reply'}>
      <Icon name={editing ? 'pencil' : 'reply'} />
      <p>
        <strong>{editing ? 'Editing your message' : `Answering ${name}`}</strong>
        <span dir="auto">{preview(target.item.payload)}</span>
      </p>
      <IconButton label={editing ? 'Cancel edit' : 'Cancel reply'} onClick={onClose}>
        <Icon name="close" />
      </IconButton>
    </div>
  );
}

/** @param {NonNullable<import('../../hooks/trays.js').Tray['problem']>} problem */
export function trayWords(problem) {
  return problem === 'too_large'
    ? `Files of more than ${sizeWords(LARGEST)} cannot be sent.`
    : `At most ${MOST} files go with one message.`;
}

/** @param {{tray: import('../../hooks/trays.js').Tray, onDrop: (key: number) => void}} props  onDrop: taken away, or their sending ended */
export function FileChips({ tray, onDrop }) {
  if (tray.pieces.length === 0) return null;
  return (
    <ul className={files.chips} aria-label="Files to send">
      {tray.pieces.map(({ key, file, done }) => {
        const name = plainName(file.name);
        return (
          <li key={key} className={files.chip}>
            <Icon name="file" />
            <span className={files.words}>
              <bdi className={files.name}>{name}</bdi>
              <span className={files.size}>{sizeWords(file.size)}</span>
            </span>
            {tray.uploading ? (
              <>
                <progress aria-label={`Sending ${name}`} max={1} value={done ?? 0} />
                <Button small kind="quiet" aria-label={`Cancel ${name}`} onClick={() => onDrop(key)}>
                  Cancel
                </Button>
              </>
            ) : (
              <IconButton label={`Remove ${name}`} onClick={() => onDrop(key)}>
                <Icon name="close" />
              </IconButton>
            )}
          </li>
        );
      })}
    </ul>
  );
}
