/**
 * From a model's name to the path that can be opened.
 *
 * A path stays a path. A name on the hub becomes a path in the cache, downloaded if need be. When the hub cannot be
 * reached, what the cache has will do.
 *
 * Flow: name → resolveModel → path → loadModel.
 */
import { parseModelName } from "../../../files/hub/name.ts";
import { CriaError } from "../../../shared/errors.ts";
import { type HubSettings, hubSettings, type ResolveOptions } from "./options.ts";
import { cachedModel, isFixed, type PulledModel, pullHubModel } from "./pull.ts";

export type { ResolveOptions } from "./options.ts";

/**
 * The path of a model: a file, the first of a GGUF's parts, or a folder.
 *
 * @throws {CriaError} code "bad-input" for an address; otherwise as `pullModel`.
 */
export async function resolveModel(name: string, options: ResolveOptions = {}): Promise<string> {
  const wanted = parseModelName(name);
  if (wanted.kind === "path") return wanted.path;
  if (wanted.kind === "url")
    throw new CriaError(
      "bad-input",
      `${name}: a model is not run from an address; download the file, or name a model on the hub: hf:user/repo:QUANT`,
    );
  const settings = await hubSettings(options);
  const cached = await cachedModel(wanted, settings).catch((error) => {
    if (settings.offline) throw error;
    return undefined;
  });
  if (cached && (settings.offline || isFixed(wanted))) return cached.path;
  return (await pullOr(cached, () => pullHubModel(wanted, options, patience(settings, cached)))).path;
}

/** With the model at hand nobody waits long for a hub that does not answer. */
function patience(settings: HubSettings, cached: PulledModel | undefined): HubSettings {
  return cached ? { ...settings, retries: Math.min(settings.retries, 1) } : settings;
}

async function pullOr(
  cached: PulledModel | undefined,
  pull: () => Promise<PulledModel>,
): Promise<PulledModel> {
  try {
    return await pull();
  } catch (error) {
    if (cached && error instanceof CriaError && error.code === "network") return cached;
    throw error;
  }
}
