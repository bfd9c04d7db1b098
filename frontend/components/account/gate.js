'use client';
/** Lets a page be seen only in the right state: `in` needs a session, `out` needs none, `any` goes to where one belongs. */
import { useEffect } from 'react';
import { useRouter } from 'next/navigation';
import { PATHS } from '../../config.js';
import { useAccount, useSession } from '../../hooks/useSession.js';
import { errorWords } from '../../hooks/words.js';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';
import { Splash } from '../ui/splash.js';

/** @param {{want: 'in'|'out'|'any', children?: React.ReactNode}} props */
export function Gate({ want, children }) {
  const router = useRouter();
  const { phase, ready, failure } = useSession();
  const { retry } = useAccount();
  const inside = phase === 'ready';
  const outside = ready && (phase === 'signed_out' || phase === 'starting');
  useEffect(() => {
    if (inside && want !== 'in') router.replace(PATHS.chat);
    if (outside && want !== 'out') router.replace(PATHS.login);
  }, [inside, outside, want, router]);

  if (failure && !inside && want !== 'out') {
    return (
      <Splash>
        <Notice tone="danger" action={<Button onClick={() => void retry()}>Try again</Button>}>
          {errorWords(failure)}
        </Notice>
      </Splash>
    );
  }
  // A form stays mounted while its own log-in is under way.
  const shown = want === 'in' ? inside : want === 'out' && (ready || failure !== null) && !inside;
  return shown ? children : <Splash />;
}
