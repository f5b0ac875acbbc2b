// Search without a server: browsers start no Worker from a file:// page, so run its script in a frame.
"use strict";

class FrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.onmessage = null;
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    document.body.append(this.frame);
    const inner = this.frame.contentWindow;
    addEventListener("message", (event) => {
      if (event.source !== inner) return;
      const message = new MessageEvent("message", { data: event.data });
      this.dispatchEvent(message);
      if (this.onmessage) this.onmessage(message);
    });
    this.ready = new Promise((resolve) => {
      this.frame.addEventListener("load", resolve, { once: true });
      inner.document.open();
      inner.document.write(`<script>
        globalThis.postMessage = (data) => parent.postMessage(data, "*");
        globalThis.importScripts = (...urls) => Promise.all(urls.map((url) => new Promise((loaded) => {
          const script = document.createElement("script");
          script.src = url;
          script.onload = loaded;
          document.body.append(script);
        })));
      </` + `script><body><script src="${url}"></` + `script>`);
      inner.document.close();
    });
  }

  postMessage(data) {
    this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate() {
    this.frame.remove();
  }
}

if (location.protocol === "file:") window.Worker = FrameWorker;
