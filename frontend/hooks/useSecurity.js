'use client';
/** What the user does about their account: password, recovery, sessions, its end. */
import { useCallback, useEffect, useState } from 'react';
import { getClient } from './client.js';
import { errorWords } from './words.js';

export function useSecurityActions() {
  const { newRecoveryCode, saveRecoveryCode, recover, changePassword, deleteAccount } = getClient();
  return { newRecoveryCode, saveRecoveryCode, recover, changePassword, deleteAccount };
}

/** @typedef {Awaited<ReturnType<import('../lib/types.js').Client['sessions']>>[number]} SessionView */

/** Where the account is logged in, fetched anew after every change. */
export function useSessions() {
  const [sessions, setSessions] = useState(/** @type {SessionView[]|null} */ (null));
  const [failure, setFailure] = useState(/** @type {string|null} */ (null));
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let stale = false;
    getClient()
      .sessions()
      .then(
        (found) => {
          if (stale) return;
          setSessions(found);
          setFailure(null);
        },
        (error) => stale || setFailure(errorWords(error)),
      );
    return () => {
      stale = true;
    };
  }, [asked]);

  const end = useCallback(async (/** @type {string} */ id) => {
    await getClient().endSession(id);
    setAsked((n) => n + 1);
  }, []);
  return { sessions, failure, end };
}
