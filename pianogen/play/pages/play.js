// The page: its form, and what a press of its buttons does.
import * as api from "./api.js";
import { PromptChooser } from "./prompt.js";
import { loadSamples, open } from "./sound.js";
import { Takes } from "./takes.js";

/** @typedef {import("./api.js").PieceRequest} PieceRequest */
/** @typedef {import("./take.js").Take} Take */

const find = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (document.querySelector(selector));
const input = (/** @type {string} */ selector) => /** @type {HTMLInputElement} */ (document.querySelector(selector));

/** @type {Map<string, import("./api.js").Model>} */
const models = new Map();
const prompt = new PromptChooser(fail);
const takes = new Takes(find("#takes"), { goOn, another, say, fail });

function say(/** @type {string} */ message) { find("#status").textContent = message; }

function fail(/** @type {unknown} */ error) {
  find("#error").textContent = error instanceof Error ? error.message : String(error);
}

const model = () => models.get(/** @type {HTMLSelectElement} */ (find("#model")).value);

/** @returns {PieceRequest} */
function settings() {
  const seed = input("#seed").value, topP = Number(input("#top-p").value);
  return {
    model: model()?.name ?? "",
    ...(seed === "" ? {} : { seed: Number(seed) }),
    bars: Number(input("#bars").value),
    temperature: Number(input("#temperature").value),
    ...(input("#own-lengths").checked ? { duration_temperature: Number(input("#duration-temperature").value) } : {}),
    ...(topP < 1 ? { top_p: topP } : {}),
  };
}

async function make(/** @type {PieceRequest} */ wanted, /** @type {string} */ label) {
  open(); // in the handler of a press, or browsers keep silent
  fail("");
  say("");
  try {
    takes.add(await api.makePiece(wanted), { label, plays: true });
  } catch (error) {
    fail(error);
  }
}

function goOn(/** @type {Take} */ take, /** @type {number} */ step) {
  const from = take.until(step), bar = Math.floor(step / take.barSteps) + 1;
  if (!from) return fail(`${take.title} has no notes before this place; choose a later one in its roll`);
  if (model()?.steps_per_quarter !== take.piece.steps_per_quarter) {
    return fail(`${model()?.name} has another grid than ${take.piece.model}; choose a model with the same to continue`);
  }
  return make({ ...settings(), prompt: from }, `continues ${take.title.toLowerCase()} from bar ${bar}`);
}

function another(/** @type {Take} */ take) {
  return make({ ...take.piece.settings, model: take.piece.model, prompt: take.prompt }, take.label);
}

function showModel() {
  const chosen = model();
  if (!chosen) return;
  const { parameters, description } = chosen;
  find("#model-facts").textContent = `${description}; ${(parameters / 1e6).toFixed(1)} million parameters`;
  prompt.use(chosen);
}

function showValue(/** @type {HTMLInputElement} */ slider) {
  find(`output[for=${slider.id}]`).textContent = slider.value + (slider.dataset.unit ?? "");
}

async function begin() {
  document.querySelectorAll("#settings input[type=range]").forEach((slider) => {
    const one = /** @type {HTMLInputElement} */ (slider);
    one.addEventListener("input", () => showValue(one));
    showValue(one);
  });
  input("#own-lengths").addEventListener("change", (event) => {
    input("#duration-temperature").disabled = !/** @type {HTMLInputElement} */ (event.target).checked;
  });
  find("#form").addEventListener("submit", async (event) => {
    event.preventDefault();
    open(); // in the handler of a press, or browsers keep silent
    await prompt.loading;
    if (prompt.isMissing) return fail("there is no beginning yet; choose one, or begin with nothing");
    make({ ...settings(), prompt: prompt.from }, prompt.label);
  });
  find("#model").addEventListener("change", showModel);
  for (const one of await api.models()) models.set(one.name, one);
  find("#model").replaceChildren(...[...models.keys()].map((name) => new Option(name)));
  /** @type {HTMLButtonElement} */ (find("#make")).disabled = false;
  showModel();
  const linked = new URLSearchParams(location.search).get("piece");
  if (linked) await takes.open(linked, "from a link").then((take) => take?.finished);
  loadSamples();
  await Promise.all([takes.restore(), prompt.fillCorpus()]);
}

begin().catch(fail);
