/** @odoo-module **/
/*
 * Says while a name is typed in the cart whether an instance can have it. Without JavaScript the form around it
 * sends the names and the cart shows the same sentences.
 * Listens on the document: the cart's lines are drawn anew whenever a quantity changes.
 */

const PAUSE = 300; // milliseconds without a key before the server is asked

const pauses = new WeakMap();
const answers = new WeakMap();

/** One question at a time for each field: two on their way together could be kept in the wrong order. */
function ask(input, save) {
    const before = answers.get(input) ?? Promise.resolve();
    const answer = before.then(() => askNow(input, save)).catch(() => {});
    answers.set(input, answer);
}

async function askNow(input, save) {
    const { lineId, unit } = input.dataset;
    const name = input.value;
    const params = { line_id: Number(lineId), unit: Number(unit), name, save };
    const response = await fetch("/shop/instance_name", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", method: "call", params }),
        // The customer may go on to the checkout at once: what they wrote is kept all the same.
        keepalive: save,
    });
    const { result } = await response.json();
    // They may have typed on meanwhile: then this answer is about another name.
    if (result && input.value === name) {
        show(input, result);
    }
}

function show(input, { problem, suggestion }) {
    const row = input.closest(".o_microsaas_name");
    input.classList.toggle("is-invalid", Boolean(problem));
    input.classList.toggle("is-valid", Boolean(input.value) && !problem);
    row.querySelector(".o_microsaas_problem").textContent = problem;
    const button = row.querySelector(".o_microsaas_suggestion");
    button.classList.toggle("d-none", !suggestion);
    button.querySelector("span").textContent = suggestion;
}

function inputOf(event) {
    return event.target.closest?.(".o_microsaas_name input");
}

document.addEventListener("input", (event) => {
    const input = inputOf(event);
    if (input) {
        clearTimeout(pauses.get(input));
        pauses.set(input, setTimeout(() => ask(input, false), PAUSE));
    }
});

document.addEventListener("change", (event) => {
    const input = inputOf(event);
    if (input) {
        clearTimeout(pauses.get(input));
        ask(input, true);
    }
});

// Or pressing the button would first take the focus from the field and keep what is in it.
document.addEventListener("mousedown", (event) => {
    if (event.target.closest?.(".o_microsaas_suggestion")) {
        event.preventDefault();
    }
});

document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".o_microsaas_suggestion");
    if (button) {
        event.preventDefault();
        const input = button.closest(".o_microsaas_name").querySelector("input");
        input.value = button.querySelector("span").textContent;
        ask(input, true);
    }
});

// Odoo loads its scripts late: what was typed before is looked at now.
for (const input of document.querySelectorAll(".o_microsaas_name input")) {
    if (input.value !== input.defaultValue) {
        ask(input, input !== document.activeElement);
    }
}
