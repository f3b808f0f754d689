import { expect } from 'chai';
import { placedState } from '../../../src/swarm/observe.ts';
import { aNode, aService, aTask } from './samples.ts';

const HERE = aNode();
const AWAY = aNode({ isReady: false });
const FILES = { digest: 'd', conf: 'c' };
const STOPPED = aService('n1', { replicas: 0 });
const SHUT_OUT = aService('n1', { replicas: 0, labels: { 'microsaas.shut-out': 'true' } });

describe('what an instance’s service amounts to', () => {
  for (const [what, service, tasks, node, state] of [
    ['it runs', aService('n1'), [aTask()], HERE, 'running'],
    ['it is being started', aService('n1'), [aTask({ state: 'preparing' })], HERE, 'running'],
    ['Swarm is to start it again', aService('n1'), [aTask({ state: 'failed' })], HERE, 'running'],
    [
      'it was made from older files',
      aService('n1', { digest: 'old' }),
      [aTask()],
      HERE,
      'outdated',
    ],
    ['it has another odoo.conf', aService('n1', { conf: 'old' }), [aTask()], HERE, 'outdated'],
    ['it is stopped', STOPPED, [aTask({ state: 'shutdown' })], HERE, 'stopped'],
    ['it is ending', STOPPED, [aTask()], HERE, 'outdated'],
    ['nobody hears of its node', aService('n1'), [aTask()], AWAY, 'partial'],
    ['its node has left', aService('n1'), [aTask()], null, 'partial'],
    ['its node is drained', aService('n1'), [], aNode({ isActive: false }), 'partial'],
    ['nobody has seen it end before its node was lost', STOPPED, [aTask()], AWAY, 'partial'],
    ['nobody has seen it end before its node left', STOPPED, [aTask()], null, 'partial'],
    ['it ended before its node was lost', STOPPED, [aTask({ state: 'shutdown' })], AWAY, 'stopped'],
    ['it was shut out on a node that nobody hears of', SHUT_OUT, [aTask()], AWAY, 'stopped'],
    ['it is on another node than before', STOPPED, [aTask({ node: 'n0' })], HERE, 'stopped'],
  ] as const)
    it(`is ${state} when ${what}`, () => {
      expect(placedState({ service, tasks, node }, FILES)).to.equal(state);
    });

  it('is none without one', () => {
    expect(placedState(null, FILES)).to.equal('none');
  });
});
