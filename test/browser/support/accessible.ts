import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

/** What keeps somebody from using the page, or makes it hard. */
const SERIOUS = ['critical', 'serious'];

/**
 * Looks at a part of a page with axe.
 * @param selector of our own part: Odoo's menu and footer around it are not ours
 * @returns a line for each serious finding: the rule and where it is broken
 */
export async function seriousFindings(page: Page, selector: string): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = (await page.evaluate(
    `axe.run(${JSON.stringify(selector)}, { resultTypes: ['violations'] })`,
  )) as AxeResults;
  return found.violations
    .filter(({ impact }) => SERIOUS.includes(String(impact)))
    .flatMap(({ id, nodes }) => nodes.map(({ target, html }) => `${id}: ${target} ${html}`));
}
