// Convert a drawing to a digit in the format of MNIST.

const SIDE = 28, DIGIT_SIDE = 20;

// Resize by averaging the area of the source that each pixel covers: float32 (height, width).
function resize(image, [height, width], [newHeight, newWidth]) {
  const result = new Float32Array(newHeight * newWidth);
  const rows = height / newHeight, columns = width / newWidth;
  for (let y = 0; y < newHeight; y++) {
    for (let x = 0; x < newWidth; x++) {
      let sum = 0;
      for (let row = Math.floor(y * rows); row < Math.min((y + 1) * rows, height); row++) {
        const h = Math.min(row + 1, (y + 1) * rows) - Math.max(row, y * rows);
        const end = Math.min((x + 1) * columns, width);
        for (let column = Math.floor(x * columns); column < end; column++) {
          const w = Math.min(column + 1, (x + 1) * columns) - Math.max(column, x * columns);
          sum += h * w * image[row * width + column];
        }
      }
      result[y * newWidth + x] = sum / (rows * columns);
    }
  }
  return result;
}

// Convert ink, numbers from 0 to 255 (height, width), to uint8 (28, 28). The digit is 20 pixels
// high or wide, and its center of mass is the center of the image. Returns null without ink.
export function toDigit(ink, height, width) {
  // Find the box around the ink.
  let top = height, bottom = -1, left = width, right = -1;
  for (let i = 0; i < ink.length; i++) {
    if (!ink[i]) continue;
    const y = Math.floor(i / width), x = i % width;
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
  }
  if (bottom < 0) return null;

  // Cut it out and resize it.
  const box = [bottom - top + 1, right - left + 1], scale = DIGIT_SIDE / Math.max(...box);
  const cut = Float32Array.from({length: box[0] * box[1]},
    (_, i) => ink[(top + Math.floor(i / box[1])) * width + left + i % box[1]]);
  const size = box.map(side => Math.max(1, Math.round(side * scale)));
  const small = resize(cut, box, size);

  // Move its center of mass to the center.
  let sum = 0, centerY = 0, centerX = 0;
  small.forEach((value, i) => {
    sum += value;
    centerY += value * Math.floor(i / size[1]);
    centerX += value * (i % size[1]);
  });
  const corner = (center, side) =>
    Math.min(Math.max(Math.round((SIDE - 1) / 2 - center / sum), 0), SIDE - side);
  const y = corner(centerY, size[0]), x = corner(centerX, size[1]);
  const digit = new Uint8Array(SIDE * SIDE);
  small.forEach((value, i) => {
    digit[(y + Math.floor(i / size[1])) * SIDE + x + i % size[1]] = Math.round(value);
  });
  return digit;
}
