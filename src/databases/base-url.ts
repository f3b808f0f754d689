import type { TenantSession } from '../postgres/tenant-session.ts';

/** Updates an instance's `web.base.url` when its address changes, unless its administrator has set one of their own. */
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
