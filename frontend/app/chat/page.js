import { LazyGate } from '../../components/account/lazy-gate.js';
import { LazyMessenger } from '../../components/chat/lazy-messenger.js';

/** @type {import('next').Metadata} */
export const metadata = { title: 'Chats · Chat-Sec' };

/** The app is fetched for those who are let in. */
export default function Page() {
  return (
    <LazyGate want="in">
      <LazyMessenger />
    </LazyGate>
  );
}
