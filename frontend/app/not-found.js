import Link from 'next/link';
import { PATHS } from '../config.js';
import { Splash } from '../components/ui/splash.js';

/** @type {import('next').Metadata} */
export const metadata = { title: 'Not found · Chat-Sec' };

export default function NotFound() {
  return (
    <Splash>
      <p>There is nothing at this address.</p>
      <Link href={PATHS.home} prefetch={false}>
        Go to your chats
      </Link>
    </Splash>
  );
}
