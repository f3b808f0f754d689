import type { Template } from './render.ts';

/** Processors and memory. */
export interface GivenLimits {
  readonly cpus: number;
  /** MiB. */
  readonly memoryMb: number;
}

/** What an instance may use: what its plan says, and its template where that says 0. */
export function givenLimits(
  { cpus, memoryMb }: GivenLimits,
  template: Pick<Template, 'cpus' | 'memoryMb'>,
): GivenLimits {
  return { cpus: cpus || template.cpus, memoryMb: memoryMb || template.memoryMb };
}
