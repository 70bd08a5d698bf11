/** A function that a model may call, as OpenAI's API and chat templates describe it. */
export interface ToolDefinition {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string | undefined;
    /** JSON schema of the arguments. */
    readonly parameters?: Readonly<Record<string, unknown>> | boolean | undefined;
    readonly strict?: boolean | null | undefined;
  };
}
