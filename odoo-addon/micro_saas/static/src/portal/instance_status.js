/** @odoo-module **/
/*
 * Keeps what the customer reads about their instances up to date while they are being worked on, without a reload.
 * The server renders the words, in their language, and says in how many seconds to ask again (0: not at all).
 */

const SLOWEST = 10_000;

async function follow(element) {
    let patience = 1;
    for (;;) {
        const seconds = Number(element.querySelector("[data-poll]")?.dataset.poll || 0);
        if (!seconds || !element.isConnected) {
            return;
        }
        // While nothing changes it asks less and less often: a server that is away must not be asked for ever.
        await wait(Math.min(seconds * 1000 * patience, SLOWEST));
        const html = await fetched(element.dataset.url);
        if (html && html !== element.dataset.shown) {
            element.dataset.shown = html;
            element.innerHTML = html;
            patience = 1;
        } else {
            patience *= 1.1;
        }
    }
}

/** @param url in the page's own language: for another one, Odoo would redirect */
async function fetched(url) {
    try {
        // Whose session has ended would be sent to the login page.
        const response = await fetch(url, { redirect: "error" });
        return response.ok ? await response.text() : "";
    } catch {
        return "";
    }
}

function wait(milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function start() {
    for (const element of document.querySelectorAll(".o_microsaas_status")) {
        follow(element);
    }
}

if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
} else {
    start();
}
