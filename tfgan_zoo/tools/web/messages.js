// Messages of a page. This module has no await, so that it also reports errors while the modules
// that import it are loading.

export const get = id => document.getElementById(id);

export function showStatus(text) {
  get("status").textContent = text;
  get("status").classList.remove("error");
}

function showError(error) {
  showStatus(`Error: ${error?.message ?? error}`);
  get("status").classList.add("error");
}

addEventListener("error", event => showError(event.error ?? event.message));
addEventListener("unhandledrejection", event => showError(event.reason));
showStatus("Loading ...");  // instead of the advice for a page that is opened as a file
