// The pages of a study. Which one comes next, only the server decides: every answer of its API says what to show.
import { Clip } from "./clip.js";

const main = document.querySelector("main");
const problem = document.querySelector("#problem");
const status = document.querySelector("#status");
const pages = document.querySelector("#pages");
const name = document.title;
let token = document.querySelector('meta[name="csrf-token"]').content;
let clips = [];

const template = (id) => document.getElementById(id).content.cloneNode(true);

class Refused extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** Ask the server; with a body, something changes. */
async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": token },
    body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused("The server cannot be reached. Nothing is lost: try again in a moment.", 0);
  }
  const text = await answer.text();
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    content = { error: text };
  }
  if (!answer.ok) throw new Refused(content.error, answer.status);
  token = content.csrf_token;
  return content;
}

/** Send a form, and show what comes next. */
function onSubmit(path, bodyOf) {
  const form = main.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.sending) return; // a double press
    form.dataset.sending = "yes";
    problem.textContent = "";
    try {
      show(await ask(path, bodyOf(form)));
    } catch (error) {
      await explain(error);
    } finally {
      delete form.dataset.sending;
    }
  });
}

async function explain(error) {
  if (!(error instanceof Refused)) throw error;
  if (error.code === 409) {
    try {
      show(await ask("/api/next")); // another window was faster
    } catch (second) {
      problem.textContent = second.message;
      return;
    }
  }
  problem.textContent = error.message;
}

/** Put a player in an element. */
function addClip(where, clip, heard) {
  where.append(template("player"));
  const added = new Clip(where.lastElementChild, clip, heard);
  clips.push(added);
  return added;
}

function fill(values) {
  for (const [key, value] of Object.entries(values))
    for (const element of main.querySelectorAll(`[data-${key}]`)) element.textContent = value;
}

const stages = {
  consent(view) {
    fill({ of: view.of, minutes: view.minutes });
    const code = main.querySelector("#code");
    code.parentElement.hidden = !view.needs_code;
    code.required = view.needs_code;
    code.value = location.hash.slice(1); // a link with #CODE; the part after # is never sent
    onSubmit("/api/consent", () => (view.needs_code ? { code: code.value } : {}));
  },

  "sound-check"(view) {
    if (view.wrong_answers) problem.textContent = "That was not the number. Here is another clip: listen again.";
    addClip(main.querySelector("[data-player]"), view);
    onSubmit("/api/sound-check", (form) => ({ notes: Number(form.elements.notes.value) }));
  },

  instructions(view) {
    const examples = main.querySelector("[data-examples]");
    examples.hidden = view.examples.length === 0;
    for (const example of view.examples) addClip(examples, example);
    onSubmit("/api/instructions", () => ({}));
  },

  clip(view) {
    fill({ number: view.position + 1, of: view.of });
    const answer = main.querySelector("[data-answer]");
    answer.append(template(`asks-${view.asks}`));
    answer.addEventListener("keydown", chooseByKey);
    const wait = (waiting) => {
      answer.disabled = main.querySelector(".go").disabled = waiting;
      main.querySelector("[data-hint]").hidden = !waiting;
    };
    wait(view.must_finish);
    const clip = addClip(main.querySelector("[data-player]"), view, () => {
      if (answer.disabled) status.textContent = "The clip has ended. You can answer now.";
      wait(false);
    });
    onSubmit("/api/answers", (form) => ({
      position: view.position,
      value: Number(form.elements.value.value),
      heard_s: clip.heardSeconds,
      comment: form.elements.comment.value,
    }));
  },

  finished() {},
};

/** The keys 0 to 5 choose a rating while the scale has the focus. */
function chooseByKey(event) {
  const choice = event.target.type === "radio" && main.querySelector(`input[type=radio][value="${CSS.escape(event.key)}"]`);
  if (!choice || event.ctrlKey || event.metaKey || event.altKey) return;
  choice.checked = true;
  choice.focus();
}

function show(view) {
  for (const clip of clips) clip.end();
  clips = [];
  problem.textContent = status.textContent = "";
  main.replaceChildren(template(`stage-${view.stage}`));
  pages.hidden = view.stage !== "clip";
  if (view.stage === "clip") {
    pages.max = view.of;
    pages.value = view.position;
  }
  stages[view.stage](view);
  const heading = main.querySelector("h1");
  document.title = `${heading.textContent} – ${name}`;
  window.scrollTo(0, 0);
  heading.focus();
}

async function begin() {
  try {
    show(await ask("/api/next"));
  } catch (error) {
    problem.textContent = error.message;
    setTimeout(begin, 3000);
  }
}

begin();
