import type { DesiredInstance } from './types.ts';

/** Where people reach an instance. @param pattern the setting `instances.url`, with `{port}` and `{id}` to be filled in */
export function instanceUrl(
  pattern: string,
  { id, ports }: Pick<DesiredInstance, 'id' | 'ports'>,
): string {
  return pattern.replaceAll('{port}', String(ports?.http ?? '')).replaceAll('{id}', String(id));
}
