import type { Door, DoorRoute, LoggedRequest } from '../../src/interfaces.ts';

/** A reverse proxy in memory, which a test can end, or make impossible to start. */
export class FakeDoor implements Door {
  /** What it serves; null: it does not run. */
  routes: readonly DoorRoute[] | null = null;
  /** How often it got other routes than it had. */
  loads = 0;
  isUsable = true;
  isRunning = false;
  #onEnded: () => void = () => {};

  async ensure(routes: readonly DoorRoute[]): Promise<void> {
    if (!this.isUsable) throw new Error('listen tcp :80: bind: address already in use');
    if (JSON.stringify(routes) === JSON.stringify(this.routes)) return;
    this.loads += 1;
    this.routes = structuredClone(routes);
  }

  async watch(onEnded: () => void, signal: AbortSignal): Promise<void> {
    this.#onEnded = onEnded;
    await aborted(signal);
  }

  #onRequest: (request: LoggedRequest) => void = () => {};

  async requests(onRequest: (request: LoggedRequest) => void, signal: AbortSignal): Promise<void> {
    this.#onRequest = onRequest;
    await aborted(signal);
  }

  /** Somebody has asked for something, and an instance has answered. */
  visit(request: Partial<LoggedRequest>): void {
    this.#onRequest({
      host: 'nandu.example.com',
      path: '/odoo',
      status: 200,
      at: Date.now(),
      ...request,
    });
  }

  async ensureRunning(): Promise<void> {
    if (!this.isUsable) throw new Error('listen tcp :80: bind: address already in use');
    this.isRunning = true;
  }

  /** It ends, as when somebody kills it. */
  kill(): void {
    this.routes = null;
    this.isRunning = false;
    this.#onEnded();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
