import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

/** What keeps somebody from using the page, or makes it hard. */
const SERIOUS = ['critical', 'serious'];

/** What Odoo draws inside our views, and no view can change. Everything else there is looked at. */
const OF_ODOO = [
  // Pictures without a text, labels of what has no role.
  '.o-mail-Form-chatter',
  // Tabs that are in no list of tabs.
  '.o_notebook_headers',
  // The button without a name that chooses a list's columns, and the boxes without one before its rows.
  '.o_optional_columns_dropdown',
  '.o_list_record_selector',
  // The box without a name of a yes or no in a list.
  '.o_data_cell .o-checkbox',
];

/**
 * Looks at a part of a page with axe.
 * @param selector of our own part: Odoo's menu and footer around it are not ours
 * @returns a line for each serious finding: the rule and where it is broken
 */
export async function seriousFindings(page: Page, selector: string): Promise<string[]> {
  await page.evaluate(axe.source);
  const part = { include: [selector], exclude: OF_ODOO };
  const found = (await page.evaluate(
    `axe.run(${JSON.stringify(part)}, { resultTypes: ['violations'] })`,
  )) as AxeResults;
  return found.violations
    .filter(({ impact }) => SERIOUS.includes(String(impact)))
    .flatMap(({ id, nodes }) => nodes.map(({ target, html }) => `${id}: ${target} ${html}`));
}
