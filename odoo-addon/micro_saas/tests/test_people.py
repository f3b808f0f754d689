from odoo.tests import tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestPeople(MicroSaasCommon):
    def _customer(self, instance):
        [desired] = self._sidecar().microsaas_desired(instance.ids)
        return desired["customer"]

    def _contact(self, **vals):
        return self.env["res.partner"].create({"parent_id": self.partner.id, **vals})

    def test_the_company_and_the_person(self):
        self.partner.write({"name": "ACME", "is_company": True})
        billing = self._contact(name="Billing", type="invoice", email="billing@acme.example")
        ana = self._contact(name="Ana", email="ana@acme.example", lang="en_US")
        instance = self._instance(self._invoice(partner_id=billing.id))
        self.assertEqual(instance.name, "Odoo ACME")
        instance.sudo().ordered_by_id = ana
        customer = self._customer(instance)
        self.assertEqual((customer["company_name"], customer["name"]), ("ACME", "Ana"))
        self.assertEqual(customer["email"], "ana@acme.example")

    def test_a_contact_without_a_name(self):
        self.partner.write({"name": "ACME", "is_company": True})
        nameless = self._contact(type="invoice", email="billing@acme.example")
        customer = self._customer(self._instance(self._invoice(partner_id=nameless.id)))
        self.assertEqual((customer["company_name"], customer["name"]), ("ACME", "ACME"))

    def test_one_address_in_lower_case(self):
        instance = self._instance()
        for written, login in {
            "Ana.Luna@Example.COM": "ana.luna@example.com",
            '"Luna, Ana" <Ana@luna.example>; office@luna.example': "ana@luna.example",
            "not an address": "",
        }.items():
            self.partner.email = written
            self.assertEqual(self._customer(instance)["email"], login)
            self.assertEqual(instance._login(), login or "admin")

    def test_who_has_no_address_is_reached_at_the_companys(self):
        ana = self._contact(name="Ana")
        instance = self._instance()
        instance.sudo().ordered_by_id = ana
        self.assertEqual(self._customer(instance)["email"], "luna@example.com")
