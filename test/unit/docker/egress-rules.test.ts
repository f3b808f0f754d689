import { expect } from 'chai';
import { egressScript, parseAllowedTarget, resolversIn } from '../../../src/docker/egress-rules.ts';

describe('egress rules', () => {
  const targets: [text: string, target: ReturnType<typeof parseAllowedTarget>][] = [
    ['10.1.2.3', { network: '10.1.2.3', port: null }],
    ['10.1.2.0/24', { network: '10.1.2.0/24', port: null }],
    ['10.1.2.3:5432', { network: '10.1.2.3', port: 5432 }],
    ['10.1.2.0/24:587', { network: '10.1.2.0/24', port: 587 }],
    ['fd00::1', { network: 'fd00::1', port: null }],
    ['fd00::/8', { network: 'fd00::/8', port: null }],
    ['[fd00::1]:53', { network: 'fd00::1', port: 53 }],
    ['[fd00::1]', { network: 'fd00::1', port: null }],
  ];
  for (const [text, target] of targets)
    it(`accepts ${text}`, () => expect(parseAllowedTarget(text)).to.deep.equal(target));

  const bad = [
    ...['', 'host', 'host.example:25', '10.1.2', '10.1.2.3/33', '10.1.2.3/a', '10.1.2.3:0'],
    ...['10.1.2.3:65536', 'fd00::/129', '10.1.2.3 accept; drop', '10.1.2.3/8/8', '10.1.2.3\n'],
  ];
  for (const text of bad)
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseAllowedTarget(text)).to.equal(null));

  it('reads the name servers that a rule can contain', () => {
    const text = 'search lan\nnameserver 10.0.0.2\n nameserver fd00::53 # x\nnameserver x;drop\n';
    expect(resolversIn(text)).to.deep.equal(['10.0.0.2', 'fd00::53']);
  });

  it('accepts what is allowed before it drops private networks', () => {
    const script = egressScript({
      postgres: [{ network: '10.0.0.21', port: 5432 }],
      table: 'ms_abc123',
      closed: 'ms-abc123-c',
      bridges: ['ms-abc123-*', 'br-0123456789ab'],
      resolvers: ['10.0.0.2'],
      allow: [
        { network: '192.168.7.0/24', port: 587 },
        { network: 'fd00::1', port: null },
      ],
    });
    const chain = (name: string) =>
      new RegExp(`chain ${name} {\\n(.*?)\\n {2}}`, 's')
        .exec(script)?.[1]
        ?.split('\n')
        .map((line) => line.trim());
    expect(chain('forward')).to.deep.equal([
      'type filter hook forward priority -10; policy accept;',
      'iifname "ms-abc123-c" jump from_copies',
      'iifname "ms-abc123-*" jump to_outside',
      'iifname "br-0123456789ab" jump to_outside',
    ]);
    // Before the pattern that its bridge has too: what is allowed to the others is not to copies.
    expect(chain('input')?.slice(1, 3)).to.deep.equal([
      'iifname "ms-abc123-c" jump from_copies',
      'iifname "ms-abc123-*" jump to_host',
    ]);
    const database = 'ip daddr 10.0.0.21 tcp dport 5432 accept';
    expect(chain('from_copies')).to.deep.equal(['ct state established accept', database, 'drop']);
    expect(chain('to_host')?.at(-1)).to.equal('drop');
    const allowed = [
      'ip daddr 10.0.0.2 meta l4proto { tcp, udp } th dport 53 accept',
      database,
      'ip daddr 192.168.7.0/24 tcp dport 587 accept',
      'ip6 daddr fd00::1 accept',
    ];
    const outside = chain('to_outside') ?? [];
    expect(outside.slice(1, 5)).to.deep.equal(allowed);
    expect(outside.slice(5).every((rule) => rule.endsWith('drop'))).to.equal(true);
  });
});
