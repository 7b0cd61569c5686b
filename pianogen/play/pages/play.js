// The page: its form, and what a press of its buttons does.
import * as api from "./api.js";
import { PromptChooser } from "./prompt.js";
import { loadSamples, open } from "./sound.js";
import { Takes } from "./takes.js";

/** @typedef {import("./api.js").PieceRequest} PieceRequest */
/** @typedef {import("./take.js").Take} Take */

const SECONDS_PER_QUARTER = 0.5; // without a prompt that has a tempo

const find = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (document.querySelector(selector));
const input = (/** @type {string} */ selector) => /** @type {HTMLInputElement} */ (document.querySelector(selector));

/** @type {Map<string, import("./api.js").Model>} */
const models = new Map();
const prompt = new PromptChooser(fail);
const takes = new Takes(find("#takes"), { goOn, another, say });

function say(/** @type {string} */ message) { find("#status").textContent = message; }

function fail(/** @type {unknown} */ error) {
  find("#error").textContent = error instanceof Error ? error.message : String(error);
}

const model = () => models.get(/** @type {HTMLSelectElement} */ (find("#model")).value);

/** @returns {Omit<PieceRequest, "prompt">} */
function settings() {
  const seed = input("#seed").value;
  return {
    model: model()?.name ?? "",
    seed: seed === "" ? null : Number(seed),
    num_tokens: Number(input("#num-tokens").value),
    temperature: Number(input("#temperature").value),
    duration_temperature: input("#own-lengths").checked ? Number(input("#duration-temperature").value) : null,
    top_p: Number(input("#top-p").value),
  };
}

async function make(/** @type {PieceRequest} */ wanted, /** @type {string} */ label) {
  open(); // in the handler of a press, or browsers keep silent
  fail("");
  say("");
  const barSteps = models.get(wanted.model)?.bar_steps ?? 16;
  try {
    const { id } = await api.makePiece(wanted);
    requests.set(takes.add(id, { label, barSteps, plays: true }), { wanted, label });
  } catch (error) {
    fail(error);
  }
}

const requests = /** @type {WeakMap<Take, {wanted: PieceRequest, label: string}>} */ (new WeakMap());

function goOn(/** @type {Take} */ take, /** @type {number} */ step) {
  const notes = take.notesBefore(step), bar = Math.floor(step / take.barSteps) + 1;
  if (!notes.length) return fail(`${take.title} has no notes before this place; choose a later one in its roll`);
  return make({ ...settings(), prompt: { notes } }, `continues ${take.title.toLowerCase()} from bar ${bar}`);
}

function another(/** @type {Take} */ take) {
  const made = requests.get(take);
  if (made) return make({ ...made.wanted, seed: null }, made.label);
}

function showModel() {
  const chosen = model();
  if (!chosen) return;
  const { kind, parameters, description, steps_per_quarter: perQuarter, bar_steps: barSteps } = chosen;
  find("#model-facts").textContent = `${kind}, ${(parameters / 1e6).toFixed(1)} million parameters. ${description}`;
  prompt.grid = { secondsPerStep: SECONDS_PER_QUARTER / perQuarter, barSteps };
  prompt.choose();
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
  find("#form").addEventListener("submit", (event) => {
    event.preventDefault();
    const { prompt: from, label } = prompt.request;
    make({ ...settings(), prompt: from }, label);
  });
  find("#model").addEventListener("change", showModel);
  for (const one of await api.models()) models.set(one.name, one);
  find("#model").replaceChildren(...[...models.keys()].map((name) => new Option(name)));
  /** @type {HTMLButtonElement} */ (find("#make")).disabled = false;
  showModel();
  const linked = new URLSearchParams(location.search).get("piece");
  if (linked) await takes.add(linked, { label: "from a link", barSteps: model()?.bar_steps ?? 16, plays: false }).finished;
  loadSamples();
  await Promise.all([takes.restore(), prompt.fillCorpus()]);
}

begin().catch(fail);
