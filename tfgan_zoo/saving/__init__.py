"""Export and load models: SavedModel, TFLite, ONNX, model cards, pretrained presets, PyTorch."""
