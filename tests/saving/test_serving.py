"""Contract with TensorFlow Serving: its requests run on the signatures of our SavedModels.

The server is not needed. It reads a SavedModel, finds the signature that a PredictRequest names,
feeds the request's tensors to the input tensors of the signature and fetches the outputs. The test
does the same with TensorFlow's session.
"""

import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT

from tfgan_zoo import load

predict_pb2 = pytest.importorskip(
    "tensorflow_serving.apis.predict_pb2", reason="needs tensorflow-serving-api"
)


def request_of(model, signature, **inputs):
    """Return the bytes of a PredictRequest, as a client sends them."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request.SerializeToString()


def serve(content):
    """Run a request as the server does, and return the arrays of the response by name."""
    request = predict_pb2.PredictRequest.FromString(content)
    folder = str(ROOT / "saved_models" / request.model_spec.name)
    response = predict_pb2.PredictResponse()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], folder)
        signature = graph.signature_def[request.model_spec.signature_name]
        assert request.inputs.keys() == signature.inputs.keys()
        feeds = {}
        for name, tensor in request.inputs.items():
            assert tensor.dtype == signature.inputs[name].dtype
            feeds[signature.inputs[name].name] = tf.make_ndarray(tensor)
        fetches = {name: tensor.name for name, tensor in signature.outputs.items()}
        for name, array in session.run(fetches, feeds).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
    response = predict_pb2.PredictResponse.FromString(response.SerializeToString())
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def test_a_request_for_samples():
    inputs = {"n": np.int32(4), "seed": np.int32(7), "labels": np.array([3, 8], np.int32)}
    images = serve(request_of("cgan_mnist", "sample", **inputs))["images"]
    expected = load("cgan_mnist").sample(4, seed=7, labels=[3, 8])
    assert images.dtype == np.uint8 and expected.std() > 5
    assert np.abs(images.astype(int) - expected).max() <= 1


def test_a_request_for_a_translation_of_any_size():
    image = np.random.default_rng(0).integers(0, 256, (1, 70, 129, 3), np.uint8)
    request = request_of("pix2pix_facades_synthetic", "translate", images=image)
    expected = load("pix2pix_facades_synthetic").translate(image)
    assert np.abs(serve(request)["images"].astype(int) - expected).max() <= 1
