'use client';
/** What is shown when a part of the page breaks. Messages are safe: they live in the library and on the server. */
import { Button } from '../components/ui/button.js';
import { Splash } from '../components/ui/splash.js';

export default function ErrorPage() {
  return (
    <Splash>
      <p role="alert">Something in this page broke. Nothing you sent is lost.</p>
      <Button kind="primary" onClick={() => window.location.reload()}>
        Load again
      </Button>
    </Splash>
  );
}
