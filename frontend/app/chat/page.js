import { LazyMessenger } from '../../components/chat/lazy-messenger.js';

/** @type {import('next').Metadata} */
export const metadata = { title: 'Chats · Chat-Sec' };

export default function Page() {
  return <LazyMessenger />;
}
