// Parts that all pages share: the description of the site, controls, the footer, offline use.

import {get, showStatus} from "./messages.js";
import {build, run} from "./engine.js";

export {get, showStatus};
export const site = await fetchSite();

async function fetchSite() {
  const response = await fetch("site.json");
  if (!response.ok) throw new Error(`site.json cannot be loaded, status ${response.status}`);
  return response.json();
}

// Create an element: `properties` are set on it, `children` are elements or texts.
export function element(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

// Load a model, and say so. Returns what `run` returns.
export async function loadModel(file) {
  showStatus("Loading the model ...");
  const answer = await run(file);
  showStatus("");
  get("backend").textContent = `Computed on this device: ${answer.backend}.`;
  prepareOfflineUse();
  return answer;
}

// Disable all controls while `task` loads a model. If it fails, another model can be chosen.
export async function withoutControls(task) {
  const controls = document.querySelectorAll("main button, main input, main select");
  for (const control of controls) control.disabled = true;
  try {
    await task();
  } catch (error) {
    if (get("preset")) get("preset").disabled = false;
    throw error;
  }
  for (const control of controls) control.disabled = false;
}

// Show the time of one image.
export function showSpeed(milliseconds) {
  get("speed").textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms per image`;
}

// Return the address of a preset's model card.
export const modelCard = name => `${site.repository}/blob/main/saved_models/${name}/README.md`;

// Say which network computes, with its paper and its model card.
export function showModel({name, kind, paper, arxiv}) {
  get("model").replaceChildren(
    element("strong", {}, kind), `, preset ${name} (`,
    element("a", {href: modelCard(name)}, "model card"), "). Paper: ",
    element("a", {href: `https://arxiv.org/abs/${arxiv}`}, paper), ".",
  );
}

// Let the service worker store all files, so that the site works without a connection. This
// begins when the first model is loaded, because both would share the connection.
export async function prepareOfflineUse() {
  const container = navigator.serviceWorker;  // undefined in a page that is not secure
  if (!container || get("offline").textContent) return;
  get("offline").textContent = "Saving the site for offline use ...";
  try {
    // Without "none" the HTTP cache could answer for files.js, and a new version be overlooked.
    const options = {updateViaCache: "none"};
    await stored(await container.register(`service-worker.js?build=${build}`, options));
    get("offline").textContent = "Works offline.";
  } catch (error) {  // for example a full disk or a private window: everything else works
    get("offline").textContent = `Not available offline (${error.message}).`;
  }
}

// Wait until the newest service worker has stored all files. The first one is also activated.
function stored({installing, waiting, active}) {
  const worker = installing ?? waiting ?? active;
  return new Promise((resolve, reject) => {
    function check() {
      const state = worker?.state ?? "redundant";
      if (state === "activated" || (state === "installed" && active)) resolve();
      if (state === "redundant") reject(new Error("a file could not be stored"));
    }
    worker?.addEventListener("statechange", check);
    check();
  });
}
