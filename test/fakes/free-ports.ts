/** The range of TCP ports, both ends included. */
export type PortRange = readonly [first: number, last: number];

/** The owners of the ports of a range. The lowest free one is found without iterating over all taken ones. */
export class FreePorts {
  readonly #last: number;
  readonly #ownerOf = new Map<number, number>();
  readonly #portOf = new Map<number, number>();
  /** No port below is free. */
  #lowest: number;

  constructor([first, last]: PortRange) {
    this.#lowest = first;
    this.#last = last;
  }

  /** The lowest free port that is not excluded; null when there is none. */
  lowest(exclude: readonly number[]): number | null {
    while (this.#ownerOf.has(this.#lowest)) this.#lowest += 1;
    for (let port = this.#lowest; port <= this.#last; port += 1)
      if (!this.#ownerOf.has(port) && !exclude.includes(port)) return port;
    return null;
  }

  mayHave(owner: number, port: number): boolean {
    return port === 0 || (this.#ownerOf.get(port) ?? owner) === owner;
  }

  /** Gives the owner this port in place of its present one; 0: none. */
  give(owner: number, port: number): void {
    const before = this.#portOf.get(owner);
    if (before !== undefined) {
      this.#ownerOf.delete(before);
      this.#portOf.delete(owner);
      this.#lowest = Math.min(this.#lowest, before);
    }
    if (port === 0) return;
    this.#ownerOf.set(port, owner);
    this.#portOf.set(owner, port);
  }
}
