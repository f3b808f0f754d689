import type { DesiredInstance, EffectiveState, ObservedInstance, Step } from './types.ts';

/** What was as it should be, was reported so, and is so no more though nobody asked for it. The addon has a sentence for each. */
export const DRIFTS = [
  'ContainersGone',
  'ContainersEnded',
  'ContainersPaused',
  'ContainersInPart',
  'DatabaseEnded',
  'Silent',
  'StartedByOthers',
] as const;
export type Drift = (typeof DRIFTS)[number];

const CONTAINERS: Partial<Record<ObservedInstance['containers'], Drift>> = {
  none: 'ContainersGone',
  stopped: 'ContainersEnded',
  paused: 'ContainersPaused',
  partial: 'ContainersInPart',
};

/**
 * Whether a step mends what nobody wanted. Pure.
 * @param state the effectiveState() of `desired`
 * @returns null for a step that somebody asked for, that goes on with an earlier one, or that falls asleep or wakes
 */
export function driftOf(
  desired: DesiredInstance,
  state: EffectiveState,
  seen: ObservedInstance,
  step: Step,
): Drift | null {
  if (!('do' in step)) return null;
  if (step.do === 'stop') {
    const wasStopped = desired.state === 'stopped' && desired.reason === 'Stopped';
    return state === 'stopped' && wasStopped ? 'StartedByOthers' : null;
  }
  // The reason of a step under way, or of one that has failed, is another: that drift was counted when it was first seen.
  const wasRunning =
    desired.state === 'running' && desired.reason === 'Running' && !desired.isAsleep;
  if (state !== 'running' || !wasRunning) return null;
  if (step.do === 'restart') return 'Silent';
  if (step.do === 'startDatabase') return CONTAINERS[seen.containers] ?? 'DatabaseEnded';
  return step.do === 'start' ? (CONTAINERS[seen.containers] ?? null) : null;
}
