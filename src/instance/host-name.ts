/** A host as names are compared: in lower case, without port and closing dot. @param host as a request names it */
export function normalizedHost(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
}
