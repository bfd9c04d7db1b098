'use client';
/** Chooses files to send along. */
import { IconButton } from '../ui/button.js';
import { LARGEST } from '../../hooks/trays.js';
import { Icon } from '../ui/icon.js';
import { sizeWords } from './file.js';
import styles from './composer.module.css';

/**
 * @param {{disabled: boolean, onFiles: (files: File[]) => void, inputRef: React.RefObject<HTMLInputElement|null>}} props
 *   inputRef: a click on it opens the choice
 */
export function AttachButton({ disabled, onFiles, inputRef }) {
  return (
    <>
      <IconButton
        label="Attach files"
        title={`Attach files, up to ${sizeWords(LARGEST)} each`}
        className={styles.attach}
        disabled={disabled}
        onClick={() => inputRef.current?.click()}
      >
        <Icon name="clip" />
      </IconButton>
      <input
        ref={inputRef}
        type="file"
        multiple
        hidden
        tabIndex={-1}
        aria-label="Files to attach"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = '';
        }}
      />
    </>
  );
}
