import type { DesiredInstance, MarkedInstance, SoldAs } from './types.ts';

/**
 * Whether a directory's mark names this instance (ADR 12). The number and the identity of a spare were given out before its sale: an Odoo
 * whose database has lost the sale has them for a second customer. So until the instance has answered, whom it was sold to counts too. Pure.
 */
export function isOwnMark(
  mark: Pick<MarkedInstance, 'identity' | 'isSpare' | 'soldAs'>,
  desired: Pick<DesiredInstance, 'identity' | 'soldAs' | 'spare' | 'wasReady'>,
): boolean {
  if (mark.identity !== desired.identity) return false;
  // Made for who has it, or nobody's still.
  if (desired.spare === 'no' || mark.isSpare) return true;
  if (desired.spare === 'kept') return false;
  return desired.wasReady || isSameSale(mark.soldAs, desired.soldAs);
}

function isSameSale(one: SoldAs | null, other: SoldAs | null): boolean {
  if (one === null || other === null) return one === other;
  return one.lineId === other.lineId && one.unit === other.unit && one.madeAt === other.madeAt;
}
