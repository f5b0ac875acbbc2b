#!/usr/bin/env bash
# The tables of docs/performance.md for a machine with a GPU: run it once and keep its output.
#
#     bash tests/benchmarks/gpu.sh [MODEL ...] >gpu.md
#
# Needs the package, TensorFlow and PyTorch for the GPU (tensorflow[and-cuda], torch) in one
# environment. Without a GPU it measures the CPU. ROUNDS=1 is a short trial. Not run by the tests, and
# not yet run on a GPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH=.
python=${PYTHON:-python}

echo "## The machine"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || echo "no GPU"
"$python" - <<'PYTHON'
import keras, tensorflow, torch
print(f"TensorFlow {tensorflow.__version__}, Keras {keras.__version__}, PyTorch {torch.__version__}")
print(tensorflow.config.list_physical_devices("GPU"), torch.cuda.is_available())
PYTHON

for precision in float32 mixed_bfloat16 mixed_float16; do
    for xla in off on; do
        echo
        echo "## Training steps: $precision, XLA $xla"
        "$python" tests/benchmarks/compare.py "$@" --rounds "${ROUNDS:-5}" \
            --precision "$precision" --xla "$xla"
    done
done

echo
echo "## Launches: one and ten steps per call"
for steps in 1 10; do
    tfgan-zoo benchmark gan_mnist dcgan_mnist train.steps_per_execution="$steps"
done

echo
echo "## Kernels of a step after XLA"
"$python" tests/benchmarks/kernels.py
