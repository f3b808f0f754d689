import { expect } from 'chai';
import { databaseName } from '../../src/instance/name.ts';
import { withSql } from '../../stack/sql.ts';
import { anInstance } from '../support/samples.ts';
import { makeDatabase, tenantDatabases } from '../support/tenant-databases.ts';
import { startTenantPostgres, type TenantPostgres } from '../support/tenant-postgres.ts';

describe('the accounting of a Spanish customer in a real Odoo', function () {
  this.timeout(900_000);
  let postgres: TenantPostgres;
  before(async () => {
    postgres = await startTenantPostgres('country-test');
  });
  after(() => postgres?.remove());

  it('has euros, the Spanish chart of accounts and taxes, and Spanish for whom they add', async () => {
    const { databases } = await tenantDatabases(postgres);
    const customer = { ...anInstance().customer, lang: 'es_ES', countryCode: 'ES' };
    const desired = anInstance({ id: 1, modules: ['account'], customer });
    await makeDatabase(databases, desired);
    const database = databaseName(postgres.install, desired.id);
    const [company] = await withSql(postgres.server, database, (sql) =>
      sql(`SELECT currency.name AS currency, country.code AS country, company.chart_template AS chart,
             (SELECT state FROM ir_module_module WHERE name = 'l10n_es') AS l10n_es,
             (SELECT count(*)::int FROM account_account) > 100 AS has_accounts,
             (SELECT json_value FROM ir_default d JOIN ir_model_fields f ON f.id = d.field_id
               WHERE f.model = 'res.partner' AND f.name = 'lang') AS language,
             (SELECT count(*)::int FROM account_tax WHERE country_id <> country.id) AS foreign_taxes
           FROM res_company company
           JOIN res_currency currency ON currency.id = company.currency_id
           JOIN res_partner partner ON partner.id = company.partner_id
           JOIN res_country country ON country.id = partner.country_id`),
    );
    expect(company).to.deep.equal({
      currency: 'EUR',
      country: 'ES',
      chart: 'es_pymes',
      l10n_es: 'installed',
      has_accounts: true,
      language: '"es_ES"',
      foreign_taxes: 0,
    });
  });
});
