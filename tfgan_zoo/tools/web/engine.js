// Run ONNX files in a worker, so that the page stays responsive.

// The build of ONNX Runtime Web: "jspi" computes on the GPU with WebGPU, "wasm" on the CPU.
// ?backend=wasm or ?backend=webgpu in the address of a page selects one.
async function chooseBuild() {
  const requested = new URLSearchParams(location.search).get("backend");
  if (requested === "wasm" || !("Suspending" in WebAssembly) || !navigator.gpu) return "wasm";
  const adapter = await navigator.gpu.requestAdapter();
  const isSlow = adapter?.info?.isFallbackAdapter;  // a GPU that the CPU emulates
  return adapter && (requested === "webgpu" || !isSlow) ? "jspi" : "wasm";
}

export const build = await chooseBuild();
const worker = new Worker(new URL(`worker.js?build=${build}`, import.meta.url), {type: "module"});
const waiting = new Map();  // requests without an answer: {id: {resolve, reject}}
let lastId = 0;
let failure = null;  // of the worker; every later request fails, too

worker.onmessage = ({data: {id, error, ...answer}}) => {
  const {resolve, reject} = waiting.get(id);
  waiting.delete(id);
  error ? reject(new Error(error)) : resolve(answer);
};
worker.onerror = event => {
  worker.terminate();
  failure = new Error(event.message || "the worker could not be started");
  for (const {reject} of waiting.values()) reject(failure);
  waiting.clear();
};

// Whether all requests have been answered.
export const idle = () => !waiting.size;

// Run a file. `inputs` is {name: {type, data, dims}} with a typed array as data. Returns
// {outputs: {name: {data, dims}}, milliseconds, backend}. Without inputs it only loads the file.
export function run(file, inputs = null) {
  if (failure) return Promise.reject(failure);
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    waiting.set(id, {resolve, reject});
    worker.postMessage({id, file: new URL(file, import.meta.url).href, inputs});
  });
}

// Return a function that runs one call of `task` at a time. Of the calls that arrive meanwhile,
// only the last one is kept: a slider may move faster than a model computes.
export function latest(task) {
  let next = null, running = null;
  async function runAll() {
    while (next) {
      const {parameter} = next;
      next = null;
      await task(parameter);
    }
  }
  return parameter => {
    next = {parameter};
    running ??= runAll().finally(() => { running = null; });
    return running;
  };
}
