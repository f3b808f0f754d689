/** @odoo-module **/
import { registry } from "@web/core/registry";
import { LiveState } from "./live_state";

/** The same on an invoice, from its payment until its instances run. */
export class InvoiceLiveState extends LiveState {
    static followed = ["microsaas_progress", "microsaas_hold", "instancia_count"];

    get isBusy() {
        return this.props.record.data.microsaas_progress === "preparing";
    }
}

registry.category("view_widgets").add("microsaas_invoice_live_state", {
    component: InvoiceLiveState,
    fieldDependencies: [
        { name: "microsaas_progress", type: "selection" },
        { name: "microsaas_hold", type: "char" },
        { name: "instancia_count", type: "integer" },
    ],
});
