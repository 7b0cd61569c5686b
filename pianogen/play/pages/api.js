// The HTTP API of the server; docs/play.md describes it.

/** @typedef {[number, number, number]} Note start and length in steps, and MIDI pitch */
/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} kind
 * @property {number} parameters
 * @property {number} steps_per_quarter
 * @property {number} bar_steps
 * @property {string} description
 */
/** @typedef {{steps_per_quarter: number, quarters_per_minute: number, time_signature: [number, number]}} Metre */
/** @typedef {{id: string, title: string, composer: string | null}} CorpusPiece */
/** @typedef {CorpusPiece & Metre & {num_steps: number, notes: Note[]}} Prompt a file that the server has */
/** @typedef {{notes: Note[], end_step?: number} & Partial<Omit<Metre, "steps_per_quarter">>} Played */
/**
 * @typedef {object} Settings those of `pianogen generate`
 * @property {number} [bars] length after the prompt
 * @property {number} [temperature]
 * @property {number} [duration_temperature]
 * @property {number} [top_p]
 */
/**
 * @typedef {object} Start
 * @property {string} model
 * @property {{id: string, end_step?: number} | Played} [prompt]
 * @property {number} [seed] drawn by the server if there is none
 */
/** @typedef {Settings & Start} PieceRequest */
/**
 * @typedef {object} Made
 * @property {string} id
 * @property {string} model
 * @property {number} seed
 * @property {Settings} settings
 * @property {number} seconds_per_step
 * @property {number} prompt_steps
 * @property {number} num_prompt_notes
 * @property {Note[]} notes those that there are, first the prompt's
 */
/** @typedef {Made & Metre} Piece */
/**
 * @typedef {object} Events
 * @property {() => void} open everything comes from the beginning, also after a lost connection
 * @property {(data: {position: number}) => void} queued
 * @property {(data: {notes: Note[], prompt: boolean, num_tokens: number}) => void} notes
 * @property {(data: {num_notes: number}) => void} done
 * @property {(data: {error: string}) => void} failed
 */

const token = /** @type {HTMLMetaElement} */ (document.querySelector('meta[name="csrf-token"]')).content;

/** @returns {Promise<Model[]>} */
export const models = () => request("/api/models");

/** @returns {Promise<CorpusPiece[]>} */
export const corpus = () => request("/api/prompts");

/** @param {string} id @param {string} model whose grid the notes are on @returns {Promise<Prompt>} */
export const prompt = (id, model) =>
  request(`/api/prompts/${encodeURIComponent(id)}?${new URLSearchParams({ model })}`);

/** @param {File} file a MIDI file or a score @param {string} model @returns {Promise<Prompt>} */
export const upload = (file, model) =>
  request(`/api/prompts?${new URLSearchParams({ name: file.name, model })}`, { method: "POST", body: file });

/** @param {PieceRequest} wanted @returns {Promise<Piece>} */
export const makePiece = (wanted) => request("/api/pieces", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(wanted),
});

/** @param {string} id @returns {Promise<Piece>} */
export const piece = (id) => request(pieceUrl(id));

/** @param {string} id @returns {Promise<void>} */
export const stop = (id) => request(pieceUrl(id), { method: "DELETE" });

/** @param {string} id @param {string} suffix such as .mid, or nothing */
export const pieceUrl = (id, suffix = "") => `/api/pieces/${encodeURIComponent(id)}${suffix}`;

/** @param {Metre} metre @returns {{secondsPerStep: number, barSteps: number}} */
export function gridOf({ steps_per_quarter: perQuarter, quarters_per_minute: tempo, time_signature: [beats, unit] }) {
  return { secondsPerStep: 60 / tempo / perQuarter, barSteps: (4 * perQuarter * beats) / unit };
}

/** @param {string} id @returns {string} an address that gives the same piece again */
export const linkTo = (id) => `${location.origin}/?piece=${encodeURIComponent(id)}`;

/**
 * Follow a piece while it is made.
 * @param {string} id
 * @param {Events} events
 * @returns {() => void} stops following
 */
export function follow(id, events) {
  const source = new EventSource(pieceUrl(id, "/events"));
  source.addEventListener("open", events.open);
  for (const name of /** @type {const} */ (["queued", "notes", "done", "failed"])) {
    source.addEventListener(name, (event) => {
      if (name === "done" || name === "failed") source.close(); // or it would connect again
      events[name](JSON.parse(event.data));
    });
  }
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) events.failed({ error: "the server does not send this piece" });
  });
  return () => source.close();
}

async function request(/** @type {string} */ path, /** @type {RequestInit} */ options = {}) {
  const headers = { ...options.headers, "X-CSRF-Token": token };
  const response = await fetch(path, { ...options, headers }).catch(() => {
    throw new Error("the server does not answer; is pianogen play still running?");
  });
  const text = await response.text();
  if (!response.ok) throw new Error(reasonIn(text) || `the server answers ${response.status}`);
  return text ? JSON.parse(text) : null;
}

function reasonIn(/** @type {string} */ text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return text.trim(); // of the guard
  }
}
