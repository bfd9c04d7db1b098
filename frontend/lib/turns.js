/**
 * One thing at a time: what is asked for under a name waits for what was asked under it before.
 * Refuses nothing; an error goes to the caller whose work it was, and the next in turn goes on.
 */

/** @returns {<T>(name: string, work: () => Promise<T>) => Promise<T>} */
export function createTurns() {
  /** @type {Map<string, Promise<unknown>>} the last of each name */
  const turns = new Map();
  return (name, work) => {
    const result = (turns.get(name) ?? Promise.resolve()).then(work);
    turns.set(
      name,
      result.catch(() => undefined),
    );
    return result;
  };
}
