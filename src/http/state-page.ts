import Handlebars from 'handlebars';
import type { StatePage } from '../interfaces.ts';

/** For a manager that does not answer. These and the next are the only sentences for people that are not in the addon. */
export const UNAVAILABLE: StatePage = {
  status: 503,
  retryAfter: 10,
  lang: 'en',
  title: 'Not available at the moment · No disponible en este momento',
  lines: ['This page tries again by itself.', 'Esta página vuelve a intentarlo automáticamente.'],
  action: null,
  secondAction: null,
  company: '',
  logoUrl: '',
};

/** For a link to a download that was used, or is too old. */
export const LINK_OVER: StatePage = {
  ...UNAVAILABLE,
  status: 410,
  retryAfter: 0,
  title: 'This link is not valid any more · Este enlace ya no es válido',
  lines: [
    'It works once, and for some minutes. Press Download again on the page of your Odoo.',
    'Funciona una sola vez y durante unos minutos. Pulse Descargar de nuevo en la página de su Odoo.',
  ],
};

/** For a link to log in that was used, is too old, or was made for another address. */
export const LOGIN_OVER: StatePage = {
  ...LINK_OVER,
  lines: [
    'It works once, and for a minute. Press the button again on the page that you came from.',
    'Funciona una sola vez y durante un minuto. Pulse de nuevo el botón en la página de la que viene.',
  ],
};

/** Plain HTML without a script: it must work in every browser, and nothing in it can run. */
const SOURCE = `<!doctype html>
<html lang="{{lang}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
{{#if retryAfter}}
<meta http-equiv="refresh" content="{{retryAfter}}">
{{/if}}
<title>{{title}}</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; align-items: center; justify-content: center;
  font: 1.0625rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; background: #f4f5f7; color: #1f2933; }
main { box-sizing: border-box; width: min(34rem, calc(100% - 2rem)); margin: 1rem; padding: 2.25rem; border-radius: .75rem;
  background: #fff; box-shadow: 0 1px 3px rgb(0 0 0 / .12); }
img { display: block; max-width: 12rem; max-height: 4rem; margin-bottom: 1.5rem; }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0 0 .75rem; overflow-wrap: anywhere; }
a { display: inline-block; margin-top: .75rem; padding: .7rem 1.4rem; border-radius: .5rem; background: #714b67; color: #fff;
  font-weight: 600; text-decoration: none; }
a.second { margin-left: .5rem; background: none; color: inherit; box-shadow: inset 0 0 0 1px #9aa5b1; }
a:focus-visible { outline: 3px solid #b58fab; outline-offset: 2px; }
footer { padding: 0 1rem 1rem; font-size: .875rem; color: #616e7c; }
@media (prefers-color-scheme: dark) {
  body { background: #15181c; color: #e4e7eb; }
  main { background: #20252b; }
  footer { color: #9aa5b1; }
}
</style>
</head>
<body>
<main>
{{#if logoUrl}}
<img src="{{logoUrl}}" alt="{{company}}">
{{/if}}
<h1>{{title}}</h1>
{{#each lines}}
<p>{{this}}</p>
{{/each}}
{{#if action}}
<a href="{{action.url}}">{{action.label}}</a>
{{/if}}
{{#if secondAction}}
<a class="second" href="{{secondAction.url}}">{{secondAction.label}}</a>
{{/if}}
</main>
<footer>{{company}}</footer>
</body>
</html>
`;

const template = Handlebars.compile(SOURCE, { strict: true, knownHelpersOnly: true });

/** Writes the page as HTML; every value is escaped. */
export function renderStatePage(page: StatePage): string {
  // Odoo's codes have an underscore; in HTML it is a hyphen (BCP 47).
  return template({ ...page, lang: page.lang.replace('_', '-') });
}
