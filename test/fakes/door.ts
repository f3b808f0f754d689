import type { Door, DoorRoute } from '../../src/interfaces.ts';

/** A reverse proxy in memory, which a test can end, or make impossible to start. */
export class FakeDoor implements Door {
  /** What it serves; null: it does not run. */
  routes: readonly DoorRoute[] | null = null;
  /** How often it got other routes than it had. */
  loads = 0;
  isUsable = true;
  #onEnded: () => void = () => {};

  async ensure(routes: readonly DoorRoute[]): Promise<void> {
    if (!this.isUsable) throw new Error('listen tcp :80: bind: address already in use');
    if (JSON.stringify(routes) === JSON.stringify(this.routes)) return;
    this.loads += 1;
    this.routes = structuredClone(routes);
  }

  async watch(onEnded: () => void, signal: AbortSignal): Promise<void> {
    this.#onEnded = onEnded;
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** It ends, as when somebody kills it. */
  kill(): void {
    this.routes = null;
    this.#onEnded();
  }
}
