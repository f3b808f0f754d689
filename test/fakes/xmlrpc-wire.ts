/*
 * XML-RPC as Python writes and reads it, independent of the library under test.
 */

type Token = { readonly text: string } | { readonly open: string } | { readonly close: string };

function* tokens(xml: string): Generator<Token> {
  const pattern = /<!\[CDATA\[([\s\S]*?)\]\]>|<\?[^>]*>|<(\/?)([\w.]+)\s*(\/?)>|([^<]+)/g;
  for (const [, cdata, slash, tag, empty, text] of xml.matchAll(pattern)) {
    if (cdata !== undefined) yield { text: cdata };
    else if (text !== undefined) yield { text: unescapeXml(text) };
    else if (tag && slash) yield { close: tag };
    else if (tag) {
      yield { open: tag };
      if (empty) yield { close: tag };
    }
  }
}

function unescapeXml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}

interface Element {
  readonly tag: string;
  readonly children: Element[];
  text: string;
}

function tree(xml: string): Element {
  const root: Element = { tag: '', children: [], text: '' };
  const open = [root];
  for (const token of tokens(xml)) {
    const parent = open.at(-1) as Element;
    if ('text' in token) parent.text += token.text;
    else if ('close' in token) {
      if (open.pop()?.tag !== token.close) throw new Error(`stray </${token.close}>`);
    } else {
      const element = { tag: token.open, children: [], text: '' };
      parent.children.push(element);
      open.push(element);
    }
  }
  if (open.length !== 1) throw new Error(`<${open.at(-1)?.tag}> is not closed`);
  return root;
}

const child = (element: Element, tag: string): Element => {
  const found = element.children.find((one) => one.tag === tag);
  if (!found) throw new Error(`no <${tag}> in <${element.tag}>`);
  return found;
};

function decode(value: Element): unknown {
  const typed = value.children[0];
  if (!typed) return value.text;
  switch (typed.tag) {
    case 'string':
      return typed.text;
    case 'int':
    case 'double':
      return Number(typed.text);
    case 'boolean':
      return typed.text === '1';
    case 'array':
      return child(typed, 'data').children.map(decode);
    case 'struct':
      return Object.fromEntries(
        typed.children.map((member) => [
          child(member, 'name').text,
          decode(child(member, 'value')),
        ]),
      );
    default:
      throw new Error(`<${typed.tag}> is refused by Odoo`);
  }
}

/** The parameters of a `<methodCall>`. Throws on XML that Python would refuse. */
export function readMethodCall(xml: string): { method: string; params: unknown[] } {
  const call = child(tree(xml), 'methodCall');
  return {
    method: child(call, 'methodName').text,
    params: child(call, 'params').children.map((param) => decode(child(param, 'value'))),
  };
}

function encode(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
    return `<value><string>${text}</string></value>\n`;
  }
  if (typeof value === 'boolean') return `<value><boolean>${Number(value)}</boolean></value>\n`;
  if (typeof value === 'number') {
    const tag = Number.isInteger(value) ? 'int' : 'double';
    return `<value><${tag}>${value}</${tag}></value>\n`;
  }
  if (Array.isArray(value)) {
    return `<value><array><data>\n${value.map(encode).join('')}</data></array></value>\n`;
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([name, member]) => `<member>\n<name>${name}</name>\n${encode(member)}</member>\n`,
    );
    return `<value><struct>\n${members.join('')}</struct></value>\n`;
  }
  throw new TypeError('cannot marshal None unless allow_none is enabled');
}

export function writeMethodResponse(value: unknown): string {
  return `<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n${encode(value)}</param>\n</params>\n</methodResponse>\n`;
}

export function writeFault(faultCode: number, faultString: string): string {
  return `<?xml version='1.0'?>\n<methodResponse>\n<fault>\n${encode({ faultCode, faultString })}</fault>\n</methodResponse>\n`;
}
