import { describe, expect, it } from "vitest";
import { ChatTemplate } from "./template.ts";

const render = (source: string, variables: Record<string, unknown> = {}) =>
  new ChatTemplate(source).render(variables);
const code = (name: string) => expect.objectContaining({ name: "CriaError", code: name });

it("renders variables, loops, macros, namespaces and filters", () => {
  expect(
    render(
      "{%- set ns = namespace(n=0) %}{%- macro show(m) %}[{{ m.role }}: {{ m['content'] | trim }}]{% endmacro %}" +
        "{%- for m in messages if m.role != 'tool' %}{{ show(m) }}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}" +
        "{{ tools | tojson }}{{ x is defined }}",
      {
        messages: [
          { role: "user", content: " a " },
          { role: "tool", content: "" },
        ],
        tools: [{ a: 1 }],
      },
    ),
  ).toBe('[user: a]1[{"a": 1}]False');
});

/** What transformers 5.24 renders. */
it.each([
  [
    "{% for x in ['a', 'b', 'c'] %}{{ x }}{% if loop.index == 2 %}{% break %}{% endif %}-{% endfor %}!",
    "a-b!",
  ],
  ["{% for x in ['a', 'b', 'c'] %}{{ x }}{% if x == 'b' %}{% continue %}{% endif %}-{% endfor %}", "a-bc-"],
  ["{% for x in [1, 2] %}{% for y in [1, 2] %}{{ y }}{% break %}{% endfor %};{% endfor %}", "1;1;"],
  [
    "{% for x in ['a', 'b', 'c'] %}{% if loop.first %}{% set y = 1 %}{% endif %}[{{ y }}]{% endfor %}",
    "[1][][]",
  ],
  ["{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "2"],
  [String.raw`{{ '\n\n  x'.lstrip('\n') }}|{{ 'xyax'.strip('xy') }}|{{ 'ab '.rstrip() }}`, "  x|a|ab"],
  [
    "{{ '' == false }} {{ 0 == false }} {{ none == nothing }} {{ {'a': [1]} == {'a': [1.0]} }}",
    "False True False True",
  ],
  ["{{ [1] in [[1], 2] }} {{ 'b' not in 'abc' }} {{ 'a' in {'a': 1} }}", "True False True"],
  [
    "{{ true }} {{ none }} {{ ['a', 1, \"it's\"] }} {{ 'n' ~ 1 ~ false }}",
    "True None ['a', 1, \"it's\"] n1False",
  ],
  ["{{ '\ufeff a' | trim | length }}", "3"],
])("shows, compares and leaves loops as Python does: %s", (source, wanted) => {
  expect(render(source)).toBe(wanted);
});

it("passes on what a template refuses", () => {
  expect(() => render("{{ raise_exception('roles must alternate') }}")).toThrow(code("bad-input"));
  expect(() => render("{{ raise_exception('roles must alternate') }}")).toThrow(/roles must alternate/);
});

it("has Python's range and date", () => {
  expect(render("{{ range(3) }}{{ range(1, 6, 2) }}{{ range(3, 0, -1) }}{{ range(0) }}")).toBe(
    "[0, 1, 2][1, 3, 5][3, 2, 1][]",
  );
  expect(render("{{ strftime_now('%Y') }}")).toBe(String(new Date().getFullYear()));
});

it.each([
  ["{% if %}"],
  ["{{ 1 + }}"],
  ["{% for x in y %}"],
  ["{{ x | nosuchfilter }}"],
  ["{{ nosuch('a') }}"],
  ["{{ range('a') }}"],
  ["{{ range(0, 10, 0) }}"],
  [`{{ ${"(".repeat(50_000)} }}`],
  [`{% if true %}`.repeat(9_000)],
  ["a".repeat(200_000)],
  [`a${" ".repeat(100_000)}b`],
  [`a${"\n ".repeat(600)}b`],
])("answers a faulty template with a typed error: %.40s", (source) => {
  expect(() => render(source, { x: "a" })).toThrow(code("bad-template"));
});

describe("hostile templates end soon", () => {
  const deep = (levels: number, body: string) =>
    "{% for i in range(1000) %}".repeat(levels) + body + "{% endfor %}".repeat(levels);
  const big =
    "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(15) %}{% set ns.x = ns.x + ns.x %}{% endfor %}";
  it.each<[string, string]>([
    ["nested loops", deep(4, "x")],
    ["nested empty loops", deep(4, "")],
    ["a loop over a huge range", "{% for i in range(1000000000) %}{% endfor %}"],
    [
      "doubling a text",
      "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    ],
    [
      "doubling by a block",
      "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
    ],
    [
      "doubling a list",
      "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    ],
    [
      "a list of itself twice",
      "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    ],
    [
      "a mapping of itself twice",
      "{% set ns = namespace(x={}) %}{% for i in range(99) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x | tojson }}",
    ],
    ["a namespace in itself", "{% set ns = namespace(x=1) %}{% set ns.x = ns %}{{ ns }}"],
    ["a namespace in a list in itself", "{% set ns = namespace(x=1) %}{% set ns.x = [ns, ns] %}{{ ns }}"],
    ["writing a text again and again", `${big}${deep(2, "{{ ns.x }}")}`],
    ["writing a list again and again", `${big}{% set l = [ns.x] %}${deep(2, "{{ l }}")}`],
    ["replacing everything by much", `${big}{{ ns.x.replace('a', ns.x) }}`],
    ["replacing through a variable", `${big}{% set f = ns.x.replace %}{{ f('a', ns.x) }}`],
    [
      "replacing through a call block",
      `${big}{% set f = ns.x.replace %}{% call f('a', ns.x) %}{% endcall %}`,
    ],
    ["replacing with spread arguments", `${big}{{ ns.x.replace(*['a', ns.x]) }}`],
    ["the replace filter", `${big}{{ ns.x | replace('a', ns.x) }}`],
    ["the replace filter on a block", `${big}{% filter replace('a', ns.x) %}{{ ns.x }}{% endfilter %}`],
    ["a long separator", `${big}{{ ns.x | join(ns.x) }}`],
    ["a wide indent", "{{ 'a\\nb\\nc' | indent(400000000) }}"],
    ["a wide indent of JSON", "{{ [1, [2, 3]] | tojson(indent=400000000) }}"],
    [
      "a long search",
      `${big}{% for i in range(1000) %}{{ (ns.x + 'b') in ns.x }}{{ ('b' + ns.x) in (ns.x + ns.x) }}{% endfor %}`,
    ],
    [
      "a long split",
      `${big}{% for i in range(1000) %}{% set a = (ns.x + ns.x).split('b' + ns.x) %}{% endfor %}`,
    ],
    [
      "sorting long texts",
      `${big}{% set l = [ns.x + 'c', ns.x + 'b', ns.x + 'a'] %}${deep(2, "{% set m = l | sort %}")}`,
    ],
    [
      "selecting long texts",
      `${big}{% set l = [{'a': ns.x + 'c'}] %}{% set y = ns.x + 'd' %}${deep(2, "{% set m = l | selectattr('a', 'equalto', y) %}")}`,
    ],
    ["slicing long texts", `${big}${deep(2, "{% set y = ns.x[1:2] %}")}`],
    ["upper case again and again", `${big}${deep(2, "{% set y = ns.x | upper %}")}`],
    ["endless recursion", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"],
    [
      "branching recursion",
      "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    ],
    [
      "recursion by a call block",
      "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
    ],
    ["unknown names", deep(2, "{{ a }}{{ b }}{{ c }}")],
    ["continue", deep(3, "{% continue %}")],
    ["macros made again and again", `${deep(2, `{% macro f() %}${"{{ 1 }}".repeat(5000)}{% endmacro %}`)}`],
    ["numbers without end", "{{ range(10 ** 300) }}"],
  ])("%s", (_, source) => {
    const start = performance.now();
    expect(() => render(source)).toThrow(code("bad-template"));
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

it("has room for a long conversation", () => {
  const messages = Array.from({ length: 3000 }, (_, index) => ({
    role: index % 2 ? "assistant" : "user",
    content: `message ${index} ${"word ".repeat(index % 100)}`,
  }));
  const source =
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}" +
    "{% for message in rest %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('order') }}{% endif %}" +
    "{% if '</think>' in message.content %}{% set content = message.content.split('</think>')[-1] %}{% else %}{% set content = message.content %}{% endif %}" +
    "{% if loop.last and message.role == 'tool' and messages[loop.index0 - 1].role is defined %}x{% endif %}" +
    "{{ '<' + message['role'] + '>' + content | trim | replace('\\r\\n', '\\n') + '</s>' }}{% endfor %}";
  const text = render(source, { messages });
  expect(text.split("</s>").length).toBe(3001);
});

it("has room for one long message", () => {
  const content = "a line of text\n".repeat(200_000);
  expect(
    render("{{ messages[0].content | trim | replace('\\n', '\\n\\n') }}", { messages: [{ content }] }).length,
  ).toBe(16 * 199_999 + 14);
});
