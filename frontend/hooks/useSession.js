'use client';
/** Who is logged in, and the ways in and out. */
import { useCallback, useEffect, useSyncExternalStore } from 'react';
import { getClient, onResumed, resume, resumed } from './client.js';
import { useSnapshot } from './useSnapshot.js';

/**
 * `ready`: the first attempt to resume has answered. `failure`: why it could not be made (the server was not reached).
 * Every mounted user of this hook makes sure that attempt is made, once per page load.
 */
export function useSession() {
  const phase = useSnapshot((snapshot) => snapshot.phase);
  const user = useSnapshot((snapshot) => snapshot.user);
  const account = useSnapshot((snapshot) => snapshot.account);
  const accountWarnings = useSnapshot((snapshot) => snapshot.accountWarnings);
  const state = useSyncExternalStore(onResumed, resumed, () => null);
  useEffect(() => {
    void resume();
  }, []);
  return {
    phase,
    user,
    account,
    accountWarnings,
    ready: state?.done ?? false,
    failure: state?.failure ?? null,
  };
}

/** The actions alone, for forms. */
export function useAccount() {
  const client = getClient();
  return { register: client.register, login: client.login, retry: resume };
}

/**
 * Reloads elsewhere, so that no plaintext stays in this page's memory. Storage beside the library's own is not used by
 * the page, and emptied all the same.
 * @param {string} next  where to go
 */
export function leavePage(next) {
  localStorage.clear();
  sessionStorage.clear();
  window.location.replace(next);
}

/** Logs out, and leaves the page. @param {string} next  where to go */
export function useLogout(next) {
  return useCallback(async () => {
    try {
      await getClient().logout();
    } finally {
      leavePage(next);
    }
  }, [next]);
}
