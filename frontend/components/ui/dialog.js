'use client';
/** A modal on the native dialog element: focus is trapped and given back, Esc and the backdrop close it. */
import { useEffect, useId, useRef } from 'react';
import { IconButton } from './button.js';
import { Icon } from './icon.js';
import styles from './dialog.module.css';

/** Mount it to open it; the parent unmounts it in `onClose`. @param {{title: string, onClose: () => void, children: React.ReactNode}} props */
export function Dialog({ title, onClose, children }) {
  const id = useId();
  const ref = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog || dialog.open) return undefined;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className={styles.dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      <div className={styles.inside}>
        <header className={styles.header}>
          <h2 id={id}>{title}</h2>
          <IconButton label="Close" onClick={onClose}>
            <Icon name="close" />
          </IconButton>
        </header>
        {children}
      </div>
    </dialog>
  );
}
