// Keeps the counts of the owner's page up to date.
const EVERY_MS = 5000;
const problem = document.querySelector("#problem");

async function renew() {
  try {
    const answer = await fetch("/api/results");
    if (!answer.ok) throw new Error(await answer.text());
    const counts = await answer.json();
    for (const shown of document.querySelectorAll("[data-count]")) shown.textContent = counts[shown.dataset.count];
    problem.textContent = "";
  } catch {
    problem.textContent = "The server does not answer: these counts are old.";
  }
  setTimeout(renew, EVERY_MS);
}

setTimeout(renew, EVERY_MS);
