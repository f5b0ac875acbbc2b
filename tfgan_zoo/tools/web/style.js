// Give a photograph or the camera's image a style, in one pass of a network.

import {run} from "./engine.js";
import {drawImage, loadImage, readImage, saveImage} from "./images.js";
import {element, get, loadModel, showModel, showSpeed, showStatus, site} from "./page.js";

const FRAMES = 8;  // over which the frame rate is averaged
const input = get("input");

export let stylized = null;  // the last result, uint8 (height, width, 3)
let source = null;  // an image or a video
let running = null;  // promise of the loop, while there is work
let changed = false;  // true if the image has to be computed

const stream = () => source?.srcObject ?? null;  // of the camera
const currentModel = () =>
  site.stylize.find(({name}) => name === document.querySelector("input[name=style]:checked").value);

// Draw the source on the canvas `input`. The longer side has the chosen length.
function drawSource() {
  const width = source.videoWidth ?? source.naturalWidth, height = source.videoHeight ?? source.naturalHeight;
  const scale = Math.min(1, Number(get("size").value) / Math.max(width, height));
  const context = input.getContext("2d", {willReadFrequently: true});
  input.width = Math.round(width * scale);
  input.height = Math.round(height * scale);
  context.fillStyle = "white";  // behind a transparent image
  context.fillRect(0, 0, input.width, input.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, input.width, input.height);
}

async function stylizeOnce() {
  drawSource();
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
    get("rate").textContent = stream() && times.length > 1 ? `${rate.toFixed(1)} frames per second` : "";
    if (stream()) await new Promise(requestAnimationFrame);
  }
}

function update() {
  changed = true;
  return running ??= loop().finally(() => { running = null; });
}

// --- sources

function stopCamera() {
  stream()?.getTracks().forEach(track => track.stop());
  get("camera").textContent = "Start the camera";
  get("rate").textContent = "";
}

async function startCamera() {
  if (!navigator.mediaDevices) throw new Error("the camera needs a page over https, or on localhost");
  const video = element("video", {muted: true, playsInline: true});
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia(
      {video: {facingMode: get("rear").checked ? "environment" : "user"}});
  } catch (error) {
    showStatus(`The camera cannot be used: ${error.message}.`);
    return;
  }
  await video.play();
  source = video;
  get("camera").textContent = "Stop the camera";
  showStatus("");
  update();
}

async function toggleCamera() {
  if (!stream()) return startCamera();
  stopCamera();
  source = await loadImage(input.toDataURL());  // the last frame stays
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

async function selectStyle() {
  await loadModel(currentModel().file);
  showModel(currentModel());
  return update();
}

get("styles").append(...site.stylize.map(({name, image}, i) => {
  const radio = element("input", {type: "radio", name: "style", value: name, className: "hidden", checked: !i});
  radio.onchange = selectStyle;
  return element("label", {}, radio, element("img", {src: image, alt: ""}), name.replace(/^fast_/, ""));
}));
get("examples").append(...site.examples.photographs.map((file, i) => {
  const button = element("button", {type: "button"}, element("img", {src: file, alt: `photograph ${i + 1}`}));
  button.onclick = () => showPhotograph(file);
  return button;
}));
get("upload").onchange = () => upload(get("upload").files[0]);
get("camera").onclick = toggleCamera;
get("size").onchange = update;
get("rear").onchange = () => { if (stream()) { stopCamera(); return startCamera(); } };
get("save").onclick = () => saveImage(get("output"), "stylized.png");
addEventListener("dragover", event => event.preventDefault());
addEventListener("drop", event => { event.preventDefault(); upload(event.dataTransfer.files[0]); });
source = await loadImage(site.examples.photographs[0]);
await selectStyle();
