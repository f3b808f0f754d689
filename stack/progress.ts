/** Where progress lines go. */
export type Say = (line: string) => void;

/** Progress to standard output, a line each. */
export const sayToTerminal: Say = (line) => {
  process.stdout.write(`${line}\n`);
};

/** Seconds since `start` (milliseconds of `performance.now()`), to one decimal. */
export function secondsSince(start: number): number {
  return Math.round((performance.now() - start) / 100) / 10;
}

/**
 * Runs one long piece of work, with a line at its start, each ten seconds and at its end:
 * somebody who waits minutes must see that something is still happening.
 */
export async function timed<T>(say: Say, title: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  say(`${title} …`);
  const ticks = setInterval(() => say(`${title} … ${Math.round(secondsSince(start))} s`), 10_000);
  try {
    const result = await work();
    say(`${title}: done in ${secondsSince(start)} s`);
    return result;
  } finally {
    clearInterval(ticks);
  }
}

/** Numbered steps, `[ 3/9] Starting the manager`, with the seconds of those that took any. */
export class Steps {
  readonly #total: number;
  readonly #say: Say;
  #number = 0;

  constructor(total: number, say: Say) {
    this.#total = total;
    this.#say = say;
  }

  /** The next step: its title, its work's own lines indented below, its seconds. */
  async step<T>(title: string, work: (say: Say) => Promise<T>): Promise<T> {
    this.#number += 1;
    const total = String(this.#total);
    const head = `[${String(this.#number).padStart(total.length)}/${total}] ${title}`;
    const start = performance.now();
    this.#say(`${head} …`);
    const result = await work((line) => this.#say(`${' '.repeat(total.length * 2 + 4)}${line}`));
    this.#say(`${head} … ${secondsSince(start)} s`);
    return result;
  }
}
