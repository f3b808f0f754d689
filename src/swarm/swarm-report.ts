import type { SwarmApi, SwarmNode } from '../docker/swarm-api.ts';
import { LOST_HARDENING, type LostHardening } from './lost-hardening.ts';
import { type NodeFinding, type NodeProbeOptions, probeNodes } from './node-probe.ts';

/** What the doctor asks about a swarm. */
export class SwarmReport {
  readonly lost: readonly LostHardening[] = LOST_HARDENING;
  readonly #options: NodeProbeOptions;

  constructor(options: NodeProbeOptions) {
    this.#options = options;
  }

  get #swarm(): SwarmApi {
    return this.#options.swarm;
  }

  nodes(): Promise<SwarmNode[]> {
    return this.#swarm.nodes();
  }

  /** See probeNodes(). */
  probe(imageId: string): Promise<NodeFinding[]> {
    return probeNodes(this.#options, imageId);
  }
}
