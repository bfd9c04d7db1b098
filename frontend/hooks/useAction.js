'use client';
/** One action at a time, with what became of it: which one is under way, and in words why the last one failed. */
import { useCallback, useState } from 'react';
import { errorWords } from './words.js';

/**
 * @returns {{busy: string, problem: string|null, run: (name: string, work: () => Promise<unknown>) => Promise<boolean>,
 *   setProblem: (problem: string|null) => void}}  `busy`: the name of what is under way, '' for nothing; `run` answers
 *   whether it went well
 */
export function useAction() {
  const [busy, setBusy] = useState('');
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));
  const run = useCallback(async (/** @type {string} */ name, /** @type {() => Promise<unknown>} */ work) => {
    setBusy(name);
    setProblem(null);
    try {
      await work();
      return true;
    } catch (error) {
      setProblem(errorWords(error));
      return false;
    } finally {
      setBusy('');
    }
  }, []);
  return { busy, problem, run, setProblem };
}
