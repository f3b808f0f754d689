import type { DesiredInstance } from './types.ts';

/**
 * The address that one instance sends its mails from, and no other instance.
 * @param pattern the setting `mail.relay.sender`, with `{name}` and `{id}` to be filled in
 */
export function senderOf(
  pattern: string,
  { id, subdomain }: Pick<DesiredInstance, 'id' | 'subdomain'>,
): string {
  // No subdomain consists of digits alone.
  return pattern.replaceAll('{name}', subdomain || String(id)).replaceAll('{id}', String(id));
}
