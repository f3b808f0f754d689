import Handlebars from 'handlebars';

/** The one helper a kind of file may write values with. */
export type ValueHelper = 'yaml' | 'ini';

/** A checked template of one file. `source` is its text and that of the partials, to compare the result with. */
export interface TemplateText {
  readonly source: string;
  /** @throws Error when a variable is unknown or a value cannot be written safely. */
  render(view: object): string;
}

/** The texts that templates share, by name. */
export type Partials = ReadonlyMap<string, string>;

const BLOCKS = new Set(['if', 'unless', 'each']);
const NONE: Partials = new Map();

/**
 * Compiles one template file. A value can only be written as `{{yaml x}}` or `{{ini x}}`, so no value, whatever it
 * holds, can become syntax: a raw `{{x}}` is refused here, long before anything is sold with it.
 * @param partials what `{{> name}}` may stand for
 * @throws Error naming the line of whatever the small language does not have.
 */
export function compileTemplate(
  source: string,
  helper: ValueHelper,
  partials: Partials = NONE,
): TemplateText {
  // Handlebars also takes a syntax tree in place of text, which has been a way to run code.
  if (typeof source !== 'string') throw new TypeError('a template is text');
  const handlebars = Handlebars.create();
  handlebars.registerHelper(helper, helper === 'yaml' ? yaml : ini);
  for (const [name, text] of partials) handlebars.registerPartial(name, text);
  const variables = variablesOf(handlebars.parse(source), helper, [], partials);
  const template = handlebars.compile(source, {
    noEscape: true, // HTML escaping would corrupt values; the helpers escape for YAML and ini
    knownHelpersOnly: true,
    knownHelpers: { [helper]: true },
  });
  return {
    source: [source, ...partials.values()].join('\n'),
    render: (view) => {
      // Handlebars renders a missing variable as nothing: an empty db_name would open every database.
      for (const name of variables)
        if (!isIn(view, name.split('.'))) throw new Error(`there is no variable "${name}"`);
      return template(view, {
        allowProtoPropertiesByDefault: false,
        allowProtoMethodsByDefault: false,
      });
    },
  };
}

/**
 * A value as YAML: JSON, which YAML contains, with `$` doubled because Compose fills in `${…}`.
 * Characters that YAML does not print are escaped.
 */
export function yaml(value: unknown): string {
  if (!isValue(value) && !(Array.isArray(value) && value.every(isValue)))
    throw new TypeError(
      `{{yaml}} got ${typeof value}, expected text, a number, a boolean or a list`,
    );
  return JSON.stringify(value)
    .replaceAll('$', '$$$$')
    .replace(
      /[\u007f-\u009f\u2028\u2029\ufeff]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
}

/** A value as the right side of `key = value`, read back unchanged by Python's RawConfigParser. */
export function ini(value: unknown): string {
  if (!isValue(value))
    throw new TypeError(`{{ini}} got ${typeof value}, expected text, a number or a boolean`);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  const text = String(value);
  // A line break, carriage return alone included, would begin a new option.
  if (/\p{Cc}/u.test(text)) throw new TypeError('{{ini}} got a control character');
  if (text !== text.trim()) throw new TypeError('{{ini}} got a value with blanks around it');
  return text;
}

function isValue(value: unknown): value is string | number | boolean {
  return typeof value === 'number'
    ? Number.isFinite(value)
    : /^(string|boolean)$/.test(typeof value);
}

function isIn(value: unknown, [first, ...rest]: readonly string[]): boolean {
  if (first === undefined) return true;
  if (value === null || typeof value !== 'object' || !Object.hasOwn(value, first)) return false;
  return isIn((value as Record<string, unknown>)[first], rest);
}

/** '' for whatever is no `{{> name}}`. */
function partialName(statement: hbs.AST.Statement): string {
  if (statement.type !== 'PartialStatement') return '';
  const { hash, name, params } = statement as hbs.AST.PartialStatement;
  const isPlain = name.type === 'PathExpression' && params.length === 0 && !hash?.pairs.length;
  return isPlain ? (name as hbs.AST.PathExpression).original : '';
}

/** A partial uses no other one. */
function variablesOfPartial(name: string, text: string, helper: ValueHelper): string[] {
  try {
    return variablesOf(Handlebars.parse(text), helper);
  } catch (error) {
    throw new Error(`{{> ${name}}}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * The variables a program uses, those that a block names for itself left out. Refuses all but the small language.
 * @param partials what it may use outside of its blocks
 */
function variablesOf(
  program: hbs.AST.Program | undefined,
  helper: ValueHelper,
  ownNames: readonly string[] = [],
  partials: Partials = NONE,
): string[] {
  return (program?.body ?? []).flatMap((statement) => {
    if (statement.type === 'ContentStatement' || statement.type === 'CommentStatement') return [];
    const partial = partialName(statement);
    const text = partials.get(partial);
    if (text !== undefined) return variablesOfPartial(partial, text, helper);
    const isBlock = statement.type === 'BlockStatement';
    if (!isBlock && statement.type !== 'MustacheStatement') return refuse(statement, helper);
    const call = statement as hbs.AST.MustacheStatement | hbs.AST.BlockStatement;
    const variable = variableOf(call, isBlock ? BLOCKS : new Set([helper]), helper);
    const used = ownNames.includes(variable.split('.')[0] ?? '') ? [] : [variable];
    if (!isBlock) return used;
    const { program, inverse } = statement as hbs.AST.BlockStatement;
    const names = [...ownNames, ...(program?.blockParams ?? [])];
    return [
      ...used,
      ...variablesOf(program, helper, names),
      ...variablesOf(inverse, helper, ownNames),
    ];
  });
}

function variableOf(
  call: hbs.AST.MustacheStatement | hbs.AST.BlockStatement,
  names: ReadonlySet<string>,
  helper: ValueHelper,
): string {
  const [only, ...rest] = call.params as hbs.AST.PathExpression[];
  const isCall =
    names.has((call.path as hbs.AST.PathExpression).original) && !call.hash?.pairs.length;
  if (!isCall || only?.type !== 'PathExpression' || rest.length > 0) return refuse(call, helper);
  // Neither `this` nor `../x` nor `@index`: a variable is named, so that it can be looked for.
  if (only.data || only.depth > 0 || only.parts.length === 0) return refuse(call, helper);
  return only.parts.join('.');
}

function refuse(node: hbs.AST.Node, helper: ValueHelper): never {
  throw new Error(
    `line ${node.loc.start.line}: only {{${helper} variable}}, {{#if}}, {{#unless}}, {{#each}}, comments and, outside of these, {{> a partial}} may be used`,
  );
}
