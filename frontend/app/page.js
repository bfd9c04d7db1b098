import { LazyGate } from '../components/account/lazy-gate.js';

/** Nothing stands at the root: it leads to the chats, or to the log-in. */
export default function Page() {
  return <LazyGate want="any" />;
}
