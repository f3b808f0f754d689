import { expect } from 'chai';
import type { Container } from '../../../src/docker/docker-api.ts';
import { containersState } from '../../../src/engine/observe.ts';
import { digestOf } from '../../../src/files/render.ts';
import { anInput } from '../files/instances.ts';

const digest = digestOf(anInput());

function made(state: string, from = digest): Container {
  const labels = { 'microsaas.digest': from };
  return { id: 'a', name: 'a', state, created: 0, labels, published: new Map() };
}

describe('containersState', () => {
  for (const [what, containers, expected] of [
    ['nothing', [], 'none'],
    ['created, never started', [made('created'), made('created')], 'stopped'],
    ['ended', [made('exited'), made('exited')], 'stopped'],
    ['one of two', [made('running'), made('exited')], 'partial'],
    ['both', [made('running'), made('running')], 'running'],
    ['ending again and again', [made('restarting'), made('running')], 'running'],
    ['paused', [made('paused'), made('paused')], 'paused'],
    ['one paused', [made('running'), made('paused')], 'paused'],
    ['one paused, one ended', [made('exited'), made('paused')], 'paused'],
    [
      'of an older restart',
      [made('running', digestOf(anInput({ restartCount: 3 }))), made('running')],
      'outdated',
    ],
    ['without a digest', [made('running', ''), made('running')], 'outdated'],
    [
      'under the limits of before',
      [made('running', digestOf(anInput({ memoryMb: 512 }))), made('running')],
      'running',
    ],
  ] as const)
    it(`${what}: ${expected}`, () => {
      expect(containersState(containers, 2, digest)).to.equal(expected);
    });
});
