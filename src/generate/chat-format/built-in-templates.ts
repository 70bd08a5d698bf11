/**
 * Chat templates by name, for models whose file has none. The names are llama.cpp's.
 *
 * Flow: `--chat-template` name → builtInTemplates → jinja.ts.
 */

/** Name → Jinja source. Llama 2's own format is code (llama2.ts), because it encodes each turn by itself. */
export const builtInTemplates: ReadonlyMap<string, string> = new Map([
  [
    "chatml",
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  ],
  [
    "zephyr",
    "{% for message in messages %}{{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
  ],
  [
    "mistral",
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for message in messages %}" +
      "{% if message.role == 'system' %}{% set ns.system = ns.system + message.content + '\\n\\n' %}" +
      "{% elif message.role == 'user' %}{{ '[INST] ' + ns.system + message.content + ' [/INST]' }}{% set ns.system = '' %}" +
      "{% elif message.role == 'assistant' %}{{ ' ' + message.content + eos_token }}" +
      "{% else %}{{ raise_exception('this format has no messages of role ' + message.role) }}{% endif %}{% endfor %}",
  ],
  [
    "llama3",
    "{{ bos_token }}{% for message in messages %}" +
      "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
  ],
]);
