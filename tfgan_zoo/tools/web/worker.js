// Worker that loads and runs ONNX files with ONNX Runtime Web. engine.js sends the requests.

const build = new URL(location).searchParams.get("build");
const sessions = new Map();  // {address of a file: promise of its session}
let queue = Promise.resolve();  // a session runs one request at a time
let runtime = null;

async function loadRuntime() {
  const ort = await import(`./runtime/ort.${build}.bundle.min.mjs`);
  // Threads need a page that is isolated from other pages, see service-worker.js.
  const threads = Math.min(4, navigator.hardwareConcurrency);
  ort.env.wasm.numThreads = self.crossOriginIsolated ? threads : 1;
  return ort;
}

function describeBackend(ort) {
  if (build === "jspi") return "GPU (WebGPU)";
  const threads = ort.env.wasm.numThreads;
  return `CPU (WebAssembly, ${threads} ${threads === 1 ? "thread" : "threads"})`;
}

function load(ort, file) {
  if (!sessions.has(file)) {
    const executionProviders = build === "jspi" ? ["webgpu", "wasm"] : ["wasm"];
    const options = {executionProviders, logSeverityLevel: 3};  // only errors
    sessions.set(file, ort.InferenceSession.create(file, options));
  }
  return sessions.get(file);
}

async function answer({id, file, inputs}) {
  try {
    const ort = await (runtime ??= loadRuntime());
    const session = await load(ort, file);
    const outputs = {}, begin = performance.now();
    if (inputs) {
      const tensors = {};
      for (const [name, {type, data, dims}] of Object.entries(inputs)) {
        tensors[name] = new ort.Tensor(type, data, dims);
      }
      for (const [name, tensor] of Object.entries(await session.run(tensors))) {
        outputs[name] = {data: await tensor.getData(), dims: tensor.dims};
      }
    }
    const milliseconds = performance.now() - begin;
    postMessage({id, outputs, milliseconds, backend: describeBackend(ort)});
  } catch (error) {
    sessions.delete(file);  // the next request loads it again
    postMessage({id, error: error?.message ?? String(error)});
  }
}

self.onmessage = ({data}) => { queue = queue.then(() => answer(data)); };
