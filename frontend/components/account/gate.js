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

/**
 * @param {{want: 'in'|'out'|'any', stay?: boolean, children?: React.ReactNode}} props  stay: a form has something to
 *   tell after its own log-in
 */
export function Gate({ want, stay = false, children }) {
  const router = useRouter();
  const { phase, ready, failure } = useSession();
  const { retry } = useAccount();
  const inside = phase === 'ready';
  const outside = ready && (phase === 'signed_out' || phase === 'starting');
  useEffect(() => {
    if (inside && want !== 'in' && !stay) router.replace(PATHS.chat);
    if (outside && want !== 'out') router.replace(PATHS.login);
  }, [inside, outside, want, stay, router]);

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
  const shown = want === 'in' ? inside : want === 'out' && (ready || failure !== null) && (stay || !inside);
  return shown ? children : <Splash />;
}
