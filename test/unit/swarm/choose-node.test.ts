import { expect } from 'chai';
import { chooseNode } from '../../../src/swarm/choose-node.ts';
import { aNode, aService } from './samples.ts';

const GB = 2 ** 30;

describe('the node for an instance', () => {
  const nodes = [aNode({ id: 'n1' }), aNode({ id: 'n2' }), aNode({ id: 'n3', memoryBytes: GB })];
  const on = (node: string, replicas = 1) => aService(node, { reserved: 3 * GB, replicas }).spec;

  it('is the one with the most memory that nobody has reserved', () => {
    expect(chooseNode(nodes, [on('n1')], GB).id).to.equal('n2');
    expect(chooseNode(nodes, [on('n1'), on('n2'), on('n2')], GB).id).to.equal('n1');
  });

  it('counts nothing for what is stopped, or is no instance', () => {
    const foreign = { ...on('n1'), TaskTemplate: {} };
    expect(chooseNode(nodes, [on('n1', 0), on('n1', 0), on('n2'), foreign], GB).id).to.equal('n1');
  });

  it('is the one where it was, as long as that has room', () => {
    const [, last] = nodes;
    expect(chooseNode(nodes, [on('n2')], GB, last).id).to.equal('n2');
    expect(chooseNode(nodes, [on('n2'), on('n2')], 3 * GB, last).id).to.equal('n1');
  });

  it('is never one that is drained or that nobody hears of', () => {
    const away = aNode({ id: 'n1', isReady: false });
    const drained = aNode({ id: 'n2', isActive: false });
    expect(chooseNode([away, drained, ...nodes.slice(2)], [], GB, drained).id).to.equal('n3');
    expect(() => chooseNode([away, drained], [], GB)).to.throw('No node of the swarm');
  });

  it('is none where all are full: that waits for memory', () => {
    const full = () => chooseNode(nodes, [on('n1'), on('n2')], 6 * GB);
    expect(full).to.throw().with.property('reason', 'NotEnoughMemory');
  });
});
