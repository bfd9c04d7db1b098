'use client';
/** A modal on the native dialog element: focus is trapped and given back, Esc and the backdrop close it. */
import { useId, useLayoutEffect, useRef } from 'react';
import { IconButton } from './button.js';
import { Icon } from './icon.js';
import { useKeptFocus } from './keep-focus.js';
import styles from './dialog.module.css';

/**
 * Mount it to open it; the parent unmounts it in `onClose`.
 * @param {{title: string, onClose: () => void, onBack?: () => void, size?: 'normal'|'large', firm?: boolean,
 *   children: React.ReactNode}} props  onBack: there is a step before this one; firm: only its buttons close it, it shows
 *   what is shown once
 */
export function Dialog({ title, onClose, onBack, size = 'normal', firm = false, children }) {
  const id = useId();
  const ref = useRef(/** @type {HTMLDialogElement|null} */ (null));
  const heading = useRef(/** @type {HTMLHeadingElement|null} */ (null));
  // Before the page is drawn without it: a dialog that is taken away open gives the focus back to nobody.
  useLayoutEffect(() => {
    const dialog = ref.current;
    if (!dialog || dialog.open) return undefined;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  useKeptFocus(ref, heading);
  return (
    <dialog
      ref={ref}
      className={styles.dialog}
      data-size={size}
      aria-labelledby={id}
      onCancel={(event) => {
        // React hands these two on to the dialog around this one, too.
        if (event.target !== ref.current) return;
        event.preventDefault();
        if (!firm) onClose();
      }}
      onClose={(event) => {
        // Closed by the browser, which need not ask first.
        if (event.target === ref.current && !ref.current.open) onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current && !firm) onClose();
      }}
    >
      <div className={styles.inside}>
        <header className={styles.header}>
          {onBack ? (
            <IconButton label="Back" className={styles.back} onClick={onBack}>
              <Icon name="back" />
            </IconButton>
          ) : null}
          <h2 id={id} ref={heading} tabIndex={-1}>
            {title}
          </h2>
          <IconButton label="Close" onClick={onClose}>
            <Icon name="close" />
          </IconButton>
        </header>
        {children}
      </div>
    </dialog>
  );
}
