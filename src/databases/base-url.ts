import type { TenantSession } from '../postgres/tenant-session.ts';

/** Where an instance believes it is reached follows us when we change it, unless its administrator has set an address of their own. */
export async function renewUrl(
  session: TenantSession,
  given: { readonly from: string; readonly to: string },
): Promise<void> {
  await session.run(
    `UPDATE public.ir_config_parameter SET value = $2
     WHERE key = 'web.base.url' AND value::text = $1`,
    [given.from, given.to],
  );
}
