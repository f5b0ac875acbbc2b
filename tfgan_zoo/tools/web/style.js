// Give a photograph or the camera's image a style, in one pass of a network.

import {run} from "./engine.js";
import {drawImage, loadImage, readImage, saveImage} from "./images.js";
import {element, get, loadModel, showModel, showSpeed, showStatus, site} from "./page.js";

const FRAMES = 8;  // over which the frame rate is averaged
const MIN_SIDE = 8;  // of an image in pixels, see FastStyle.stylize
const input = get("input");

export let stylized = null;  // the last result, uint8 (height, width, 3)
let source = null;  // an image, a video, or a canvas
let running = null;  // promise of the loop, while there is work
let changed = false;  // true if the image has to be computed

const stream = () => source?.srcObject ?? null;  // of the camera
const currentModel = () =>
  site.stylize.find(({name}) => name === document.querySelector("input[name=style]:checked").value);

// Draw the source on the canvas `input`. The longer side has the chosen length. Returns false for
// an image that is too flat.
function drawSource() {
  const width = source.videoWidth ?? source.naturalWidth ?? source.width;
  const height = source.videoHeight ?? source.naturalHeight ?? source.height;
  const scale = Math.min(1, Number(get("size").value) / Math.max(width, height));
  const size = [width, height].map(side => Math.round(side * scale));
  if (Math.min(...size) < MIN_SIDE) {
    showStatus(`The shorter side must have at least ${MIN_SIDE} pixels. The image has ` +
      `${width}x${height}, and ${size.join("x")} at the chosen length.`);
    return false;
  }
  [input.width, input.height] = size;
  const context = input.getContext("2d", {willReadFrequently: true});
  context.fillStyle = "white";  // behind a transparent image
  context.fillRect(0, 0, input.width, input.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, input.width, input.height);
  return true;
}

async function stylizeOnce() {
  if (!drawSource()) return;
  const shape = [input.height, input.width, 3];
  const images = {type: "uint8", data: readImage(input), dims: [1, ...shape]};
  const {outputs: {stylized: {data}}, milliseconds} = await run(currentModel().file, {images});
  stylized = data;
  drawImage(get("output"), data, shape);
  showSpeed(milliseconds);
}

// Compute until the image is current; for the camera, frame after frame.
async function loop() {
  let times = [];
  while (changed || stream()) {
    changed = false;
    await stylizeOnce();
    times = [...times.slice(1 - FRAMES), performance.now()];
    const rate = 1000 * (times.length - 1) / (times.at(-1) - times[0]);
    const isKnown = stream() && times.length > 1;
    get("rate").textContent = isKnown ? `${rate.toFixed(1)} frames per second` : "";
    if (stream()) await new Promise(requestAnimationFrame);
  }
}

function update() {
  changed = true;
  return running ??= loop().finally(() => { running = null; });
}

// --- sources

// Stop the camera. Its last frame stays.
function stopCamera() {
  if (!stream()) return;
  stream().getTracks().forEach(track => track.stop());
  source = element("canvas", {width: input.width, height: input.height});
  source.getContext("2d").drawImage(input, 0, 0);
  get("camera").textContent = "Start the camera";
  get("rate").textContent = "";
}

async function startCamera() {
  if (!navigator.mediaDevices) {
    throw new Error("the camera needs a page over https, or on localhost");
  }
  const video = element("video", {muted: true, playsInline: true});
  const controls = [get("camera"), get("rear")];
  for (const control of controls) control.disabled = true;  // or they would open a second stream
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia(
      {video: {facingMode: get("rear").checked ? "environment" : "user"}});
    await video.play();
  } catch (error) {
    video.srcObject?.getTracks().forEach(track => track.stop());
    showStatus(`The camera cannot be used: ${error.message}.`);
    return;
  } finally {
    for (const control of controls) control.disabled = false;
  }
  source = video;
  get("camera").textContent = "Stop the camera";
  showStatus("");
  update();
}

function toggleCamera() {
  if (!stream()) return startCamera();
  stopCamera();
  return update();
}

async function showPhotograph(address) {
  const image = await loadImage(address);
  stopCamera();
  source = image;
  showStatus("");
  return update();
}

async function upload(file) {
  if (!file) return;
  const address = URL.createObjectURL(file);
  try {
    await showPhotograph(address);
  } catch (error) {
    if (error.name !== "EncodingError") throw error;
    showStatus(`${file.name} is not an image that this browser can read.`);
  } finally {
    URL.revokeObjectURL(address);
  }
}

// --- controls

source = await loadImage(site.examples.photographs[0]);

async function selectStyle() {
  await loadModel(currentModel().file);
  showModel(currentModel());
  return update();
}

get("styles").append(...site.stylize.map(({name, image}, i) => {
  const radio = element("input",
    {type: "radio", name: "style", value: name, className: "hidden", checked: !i});
  radio.onchange = selectStyle;
  const example = element("img", {src: image, alt: ""});
  return element("label", {}, radio, example, name.replace(/^fast_/, ""));
}));
get("examples").append(...site.examples.photographs.map((file, i) => {
  const image = element("img", {src: file, alt: `photograph ${i + 1}`});
  const button = element("button", {type: "button"}, image);
  button.onclick = () => showPhotograph(file);
  return button;
}));
get("upload").onchange = () => {
  const [file] = get("upload").files;
  get("upload").value = "";  // so that the same file can be chosen again
  return upload(file);
};
get("camera").onclick = toggleCamera;
get("size").onchange = () => { showStatus(""); return update(); };
get("rear").onchange = () => {
  if (!stream()) return;
  stopCamera();
  return startCamera();
};
get("save").onclick = () => saveImage(get("output"), "stylized.png");
addEventListener("dragover", event => event.preventDefault());
addEventListener("drop", event => {
  event.preventDefault();
  upload(event.dataTransfer.files[0]);
});
await selectStyle();
