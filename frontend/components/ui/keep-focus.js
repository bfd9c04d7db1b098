'use client';
/** What had the focus in a dialog, or among notices, may go away or be switched off: then its heading has it, until that
 * is back. */
import { useEffect } from 'react';

/** @param {HTMLElement|null} element */
function isUsable(element) {
  return element?.isConnected === true && !element.matches(':disabled');
}

/**
 * @param {React.RefObject<HTMLElement|null>} dialog  or another part of the page
 * @param {React.RefObject<HTMLElement|null>} heading  in it, or itself; takes the focus by script
 */
export function useKeptFocus(dialog, heading) {
  useEffect(() => {
    const [inside, place] = [dialog.current, heading.current];
    if (!inside || !place) return undefined;
    const { activeElement: first } = document;
    let last = first instanceof HTMLElement && inside.contains(first) ? first : null;
    let parked = false;

    /** @param {FocusEvent} event */
    function note({ target }) {
      if (target === place || !(target instanceof HTMLElement)) return;
      last = target;
      parked = false;
    }

    function look() {
      const { activeElement: now } = document;
      if (parked && now === place) {
        if (isUsable(last)) last?.focus();
      } else if (last && !isUsable(last) && (now === last || now === document.body)) {
        place?.focus();
        parked = document.activeElement === place;
      }
    }

    const observer = new MutationObserver(look);
    inside.addEventListener('focusin', note);
    observer.observe(inside, { subtree: true, childList: true, attributeFilter: ['disabled'] });
    return () => {
      inside.removeEventListener('focusin', note);
      observer.disconnect();
    };
  }, [dialog, heading]);
}
