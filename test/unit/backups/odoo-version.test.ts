import { expect } from 'chai';
import { requireNotNewer, requireSameOdoo } from '../../../src/backups/odoo-version.ts';
import { ConfigError, TerminalError } from '../../../src/errors.ts';

const PIN = `odoo@sha256:${'a'.repeat(64)}`;

describe('the data of a backup', () => {
  for (const [what, backup, ours, isRefused] of [
    ['of the same Odoo', { image: PIN, odoo: 19 }, 19, false],
    ['of an older one', { image: PIN, odoo: 18 }, 19, false],
    ['of a newer one, whatever its image is called', { image: PIN, odoo: 19 }, 18, true],
    ['of an image whose name says another', { image: 'odoo:18.0', odoo: 19 }, 18, true],
    ['of an earlier version’s backup, by the tag', { image: 'odoo:19.0' }, 18, true],
    ['of an image that did not say', { image: PIN, odoo: null }, 18, false],
    ['for an image that does not say', { image: PIN, odoo: 19 }, null, false],
  ] as const)
    it(`${isRefused ? 'are refused' : 'are taken'}: ${what}`, () => {
      const check = () => requireNotNewer(backup, ours);
      if (isRefused) expect(check).to.throw(TerminalError).with.property('detail', '19\n18');
      else check();
    });

  it('from another install are refused where they are of an older Odoo too', () => {
    const check = (odoo: number | null, ours: number | null) => () =>
      requireSameOdoo({ image: PIN, odoo }, ours);
    expect(check(18, 19)).to.throw(ConfigError, 'expected data of Odoo 19');
    expect(check(19, 18)).to.throw(TerminalError).with.property('reason', 'BackupOdooNewer');
    for (const [odoo, ours] of [
      [19, 19],
      [null, 19],
      [18, null],
    ] as const)
      expect(check(odoo, ours)).not.to.throw();
  });
});
