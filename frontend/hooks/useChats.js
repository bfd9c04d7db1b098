'use client';
/** The user's chats and what can be done with one as a whole. */
import { getClient } from './client.js';
import { shownChats } from './names.js';
import { useSnapshot } from './useSnapshot.js';

/** Newest activity first. @returns {import('../lib/types.js').ChatView[]} */
export function useChats() {
  return useSnapshot((snapshot) => shownChats(snapshot.chats));
}

/** @param {string} id @returns {import('../lib/types.js').ChatView|undefined} */
export function useChat(id) {
  return useSnapshot((snapshot) => shownChats(snapshot.chats).find((chat) => chat.id === id));
}

export function useChatActions() {
  const { startChat, leaveChat, eraseChat, changeChat, confirmKeys, replaceShare, acceptServerMade } =
    getClient();
  return { startChat, leaveChat, eraseChat, changeChat, confirmKeys, replaceShare, acceptServerMade };
}
