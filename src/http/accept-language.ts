/** The languages that the addon has sentences in. */
const LANGUAGES = ['en', 'es'];

/** How much of a header is read: a browser's has some ten languages. */
const MAX_RANGES = 20;

/**
 * The language of ours that a visitor likes best, without its country; '' where they name none of them.
 * @param header `Accept-Language` as a stranger sends it (RFC 9110, section 12.5.4)
 */
export function preferredLanguage(header: string): string {
  const wanted = header
    .split(',', MAX_RANGES)
    .map((range) => {
      const [tag = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      const quality = parameters.find((one) => one.startsWith('q='))?.slice(2) ?? '1';
      return { language: tag.split('-')[0] ?? '', quality: Number(quality) };
    })
    .filter(({ language, quality }) => LANGUAGES.includes(language) && quality > 0);
  // The sort is stable: of two that are liked alike, the first.
  return wanted.sort((one, other) => other.quality - one.quality)[0]?.language ?? '';
}
