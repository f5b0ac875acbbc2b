// Service worker: stores all files of the site, and answers from the store. Pages work offline.
//
// A new version of the site has another hash in files.js. The browser then installs a new service
// worker, which stores all files again, and uses it when the last page of the old one is closed.

importScripts("files.js");  // SITE: {version, files, runtime}

const PREFIX = `tfgan-zoo ${registration.scope} `;  // other sites of the host have their own stores
const STORE = PREFIX + SITE.version;
const build = new URL(location).searchParams.get("build");

self.addEventListener("install", event => event.waitUntil((async () => {
  const store = await caches.open(STORE);
  const files = [...SITE.files, ...SITE.runtime[build]];
  // "no-cache" asks the host whether a file in the browser's HTTP cache is current.
  await store.addAll(files.map(file => new Request(file, {cache: "no-cache"})));
})()));

self.addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== STORE) await caches.delete(name);
  }
  await clients.claim();
})()));

// Threads of WebAssembly need a page that is isolated from other pages by these headers. A static
// host seldom sends them, so they are added here: from the second visit on there are threads.
function isolate(response) {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const {body, status, statusText} = response;
  return new Response(body, {status, statusText, headers});
}

async function answer(request) {
  const url = new URL(request.url);
  url.search = url.hash = "";
  if (url.pathname.endsWith("/")) url.pathname += "index.html";
  const store = await caches.open(STORE);
  return isolate((await store.match(url.href)) ?? (await fetch(request)));
}

self.addEventListener("fetch", event => {
  const {request} = event;
  if (request.method !== "GET" || !request.url.startsWith(registration.scope)) return;
  event.respondWith(answer(request));
});
