'use client';
/** The URL's fragment, which names the open chat: a static export has no unknown paths. */
import { useSyncExternalStore } from 'react';

/** @param {() => void} listener */
function subscribe(listener) {
  window.addEventListener('hashchange', listener);
  return () => window.removeEventListener('hashchange', listener);
}

/** @returns {string} without the '#' */
export function useFragment() {
  return useSyncExternalStore(
    subscribe,
    () => window.location.hash.slice(1),
    () => '',
  );
}
