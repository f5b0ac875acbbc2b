// Parts that all pages share: the description of the site, messages, the footer, offline use.

import {build, run} from "./engine.js";

export const get = id => document.getElementById(id);
export const site = await (await fetch("site.json")).json();

export function showStatus(text) { get("status").textContent = text; }

function showError(error) {
  showStatus(`Error: ${error?.message ?? error}`);
  get("status").classList.add("error");
}
addEventListener("error", event => showError(event.error ?? event.message));
addEventListener("unhandledrejection", event => showError(event.reason));

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

// Show the time of one image.
export function showSpeed(milliseconds) {
  get("speed").textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms per image`;
}

// Say which network computes, with its paper and its model card.
export function showModel({name, kind, paper, arxiv}) {
  const card = `${site.repository}/blob/main/saved_models/${name}/README.md`;
  get("model").replaceChildren(
    element("strong", {}, kind), `, preset ${name} (`, element("a", {href: card}, "model card"), "). Paper: ",
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
    await container.register(`service-worker.js?build=${build}`);
    await container.ready;
    get("offline").textContent = "Works offline.";
  } catch (error) {  // for example a full disk or a private window: everything else works
    get("offline").textContent = `Not available offline (${error.message}).`;
  }
}

get("source").href = site.repository;
get("version").textContent = site.version;
