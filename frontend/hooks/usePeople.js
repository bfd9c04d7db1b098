'use client';
/** Who is there: presence of everybody while a component that uses this is mounted, and the user's own status. */
import { useEffect } from 'react';
import { getClient } from './client.js';
import { shownPeople, shownPerson } from './names.js';
import { useSnapshot } from './useSnapshot.js';

/** @returns {Record<string, import('../lib/types.js').PersonView>} */
export function usePeople() {
  return useSnapshot((snapshot) => shownPeople(snapshot.people));
}

/** Watches the whole directory for as long as the caller is mounted and connected. @param {boolean} connected */
export function useDirectory(connected) {
  useEffect(() => {
    if (!connected) return undefined;
    const client = getClient();
    client.watchDirectory(true).catch(() => {
      // The connection went between the check and the call: the next connect asks again.
    });
    return () => {
      client.watchDirectory(false).catch(() => {
        // Nobody watches through a closed connection.
      });
    };
  }, [connected]);
}

/** @param {string} query */
async function findPeople(query) {
  return (await getClient().findPeople(query)).map(shownPerson);
}

export function usePeopleActions() {
  const { setStatus, acceptKeys, safetyNumber, setVerified } = getClient();
  return { findPeople, setStatus, acceptKeys, safetyNumber, setVerified };
}
