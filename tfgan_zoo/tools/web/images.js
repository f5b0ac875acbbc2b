// Images as typed arrays, and canvases.

// Draw an image, uint8 (height, width, channels), on a canvas of its size.
export function drawImage(canvas, data, [height, width, channels]) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < 3; c++) {
      image.data[4 * pixel + c] = data[pixel * channels + Math.min(c, channels - 1)];
    }
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Return the colors of a canvas: uint8 (height, width, 3).
export function readImage(canvas) {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const image = new Uint8Array(data.length / 4 * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    image[to++] = data[from];
    image[to++] = data[from + 1];
    image[to++] = data[from + 2];
  }
  return image;
}

// Load an image file of the site.
export async function loadImage(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

// Let the user download a canvas as a PNG file.
export function saveImage(canvas, name) {
  canvas.toBlob(blob => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

// Call `draw(x, y, begins)` in pixels of the canvas while a pointer is pressed.
export function onStroke(canvas, draw) {
  function handle(event, begins) {
    const box = canvas.getBoundingClientRect();
    draw((event.clientX - box.left) / box.width * canvas.width,
      (event.clientY - box.top) / box.height * canvas.height, begins);
  }
  canvas.addEventListener("pointerdown", event => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    handle(event, true);
  });
  canvas.addEventListener("pointermove", event => {
    if (canvas.hasPointerCapture(event.pointerId)) handle(event, false);
  });
}
