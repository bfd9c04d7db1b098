/**
 * Runs the tasks of worker.js: in one module worker where the platform has workers, else inline.
 * Refuses nothing itself; an error comes back with the code it was thrown with.
 */

import { ChatSecError } from './errors.js';

/** @typedef {{run: (task: string, args?: any) => Promise<any>, close: () => void}} Runner */

/** Where there are no workers, which no browser lacks: the bundler must not put all of it into the page a second time.
 * @type {Runner['run']} */
async function runInline(task, args) {
  const { runTask } = await import(/* webpackIgnore: true */ './worker.js');
  return runTask(task, args);
}

/** @returns {Runner} the worker starts at the first task */
export function createRunner() {
  if (typeof Worker === 'undefined') return { run: runInline, close() {} };
  /** @type {Worker|null} */
  let worker = null;
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  const open = new Map();
  let last = 0;

  function start() {
    // Written out in full: the bundler recognises exactly this form.
    const started = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    started.addEventListener('message', ({ data: { id, value, failure } }) => {
      const call = open.get(id);
      open.delete(id);
      if (!failure) call?.resolve(value);
      else
        call?.reject(
          failure.code ? new ChatSecError(failure.code, failure.detail) : new Error(failure.detail),
        );
    });
    started.addEventListener('error', (event) => {
      const calls = [...open.values()];
      open.clear();
      stop();
      for (const { reject } of calls) reject(new Error(`the worker failed: ${event.message}`));
    });
    return started;
  }

  function stop() {
    worker?.terminate();
    worker = null;
  }

  return {
    run(task, args = {}) {
      worker ??= start();
      last += 1;
      const id = last;
      return new Promise((resolve, reject) => {
        open.set(id, { resolve, reject });
        /** @type {Worker} */ (worker).postMessage({ id, task, args });
      });
    },
    close() {
      for (const { reject } of open.values()) reject(new ChatSecError('offline', 'the client was closed'));
      open.clear();
      stop();
    },
  };
}
