/** @odoo-module **/
import { onMounted, onWillUnmount, Component, xml } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

const EVERY = 700; // milliseconds

/** Reloads the form of an instance while the sidecar works on it, so that a pressed button is seen to have its effect. */
export class LiveState extends Component {
    static template = xml`<span/>`;
    static props = { ...standardWidgetProps };
    static followed = [
        ...["state", "reason", "microsaas_busy", "instance_url"],
        ...["job_state", "job_message", "job_percent"],
    ];

    get isBusy() {
        const { microsaas_busy, job_state } = this.props.record.data;
        return microsaas_busy || job_state;
    }

    setup() {
        this.orm = useService("orm");
        onMounted(() => this.wait());
        onWillUnmount(() => {
            this.isGone = true;
            clearTimeout(this.timer);
        });
    }

    wait() {
        this.timer = setTimeout(async () => {
            // A server that is away for a moment is asked again; the other parts of the form say so.
            await this.look().catch(() => {});
            if (!this.isGone) {
                this.wait();
            }
        }, EVERY);
    }

    async look() {
        const { record } = this.props;
        // What somebody is typing must not vanish under their hands.
        if (!record.resId || !this.isBusy || (await record.isDirty())) {
            return;
        }
        const { followed } = this.constructor;
        const [now] = await this.orm.silent.read(record.resModel, [record.resId], followed);
        // An empty text is false as it is read, and "" in the form.
        const differs = (name) => (now[name] || "") !== (record.data[name] || "");
        if (now && !this.isGone && followed.some(differs)) {
            await record.load();
        }
    }
}

registry.category("view_widgets").add("microsaas_live_state", {
    component: LiveState,
    fieldDependencies: [
        { name: "microsaas_busy", type: "boolean" },
        { name: "reason", type: "char" },
        { name: "job_state", type: "selection" },
        { name: "job_message", type: "char" },
        { name: "job_percent", type: "integer" },
    ],
});
