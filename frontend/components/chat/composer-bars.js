'use client';
/** What stands above the field: whom one answers, what one edits, which files go along. */
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

/** @param {{chatId: string, trays: import('../../hooks/trays.js').Trays, tray: import('../../hooks/trays.js').Tray}} props */
export function FileChips({ chatId, trays, tray }) {
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
                <Button
                  small
                  kind="quiet"
                  aria-label={`Cancel ${name}`}
                  onClick={() => trays.drop(chatId, key)}
                >
                  Cancel
                </Button>
              </>
            ) : (
              <IconButton label={`Remove ${name}`} onClick={() => trays.drop(chatId, key)}>
                <Icon name="close" />
              </IconButton>
            )}
          </li>
        );
      })}
    </ul>
  );
}
