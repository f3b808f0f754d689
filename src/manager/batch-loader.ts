import { ManagerError, type ManagerErrorKind } from '../errors.ts';

/** Failures that concern every call, whatever ids it names. */
const OF_ALL = new Set<ManagerErrorKind>(['transport', 'auth', 'access']);

/** What a call says about one number; nothing at all where there is no such thing. */
type Answer<T> = { readonly one: T } | { readonly error: unknown };

/**
 * Reads things by their numbers, so that many who ask in one moment cost one call: while a call is under way, what is asked for
 * waits for the next one. So nobody is given an answer that is older than their question.
 */
export class BatchLoader<T extends { readonly id: number }> {
  readonly #read: (ids: readonly number[]) => Promise<T[]>;
  #underWay: Promise<unknown> = Promise.resolve();
  #next: { readonly ids: Set<number>; readonly answers: Promise<Map<number, Answer<T>>> } | null =
    null;

  /** @param read one call for several numbers; what does not exist is left out */
  constructor(read: (ids: readonly number[]) => Promise<T[]>) {
    this.#read = read;
  }

  /** Those that exist, in the order of their numbers given. @throws what the call for one of them throws */
  async read(ids: readonly number[]): Promise<T[]> {
    this.#next ??= this.#begin();
    const { answers, ids: asked } = this.#next;
    for (const id of ids) asked.add(id);
    const given = await answers;
    return ids.flatMap((id) => {
      const answer = given.get(id);
      if (answer && 'error' in answer) throw answer.error;
      return answer ? [answer.one] : [];
    });
  }

  #begin() {
    const ids = new Set<number>();
    const answers = this.#underWay.then(() => {
      this.#next = null;
      return this.#readTogether([...ids]);
    });
    this.#underWay = answers.catch(() => {}); // the callers get the error; the next batch does not
    return { ids, answers };
  }

  /** After a failed batch each id is read alone, so that a row that cannot be read or parsed fails only its own callers. */
  async #readTogether(ids: readonly number[]): Promise<Map<number, Answer<T>>> {
    try {
      return new Map((await this.#read(ids)).map((one) => [one.id, { one }]));
    } catch (error) {
      const isOfAll = !(error instanceof ManagerError) || OF_ALL.has(error.kind);
      if (isOfAll || ids.length < 2) throw error;
      const answers = new Map<number, Answer<T>>();
      for (const id of ids) {
        try {
          for (const one of await this.#read([id])) answers.set(id, { one });
        } catch (reason) {
          answers.set(id, { error: reason });
        }
      }
      return answers;
    }
  }
}
