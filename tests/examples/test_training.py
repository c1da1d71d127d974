from pathlib import Path

import keras
import numpy as np
import pytest
from spoken_digits.front_end import FrontEnd, Normalisation
from spoken_digits.recordings import Recordings
from spoken_digits.training import BATCH, DistortedRecordings, as_inputs, build_network, train

from tern_keras import finalize, ternarize
from tern_keras.layers import ActivationQuantizer


@pytest.fixture(scope="module")
def data() -> DistortedRecordings:
    rng = np.random.default_rng(0)
    waves = [rng.normal(scale=2000, size=3000).astype(np.int16) for _ in range(2 * BATCH + 5)]
    labels = np.arange(len(waves), dtype=np.int32) % 10
    recordings = Recordings(waves, labels, labels)
    front_end = FrontEnd()
    return DistortedRecordings(recordings, front_end, Normalisation.of(front_end.cepstra(recordings.seconds())), (0, 1))


class TestDistortedRecordings:
    def test_an_epoch_depends_on_its_number_alone(self, data: DistortedRecordings):
        data.begin(3)
        first = [data[i] for i in range(len(data))]
        data.begin(4)
        assert (data[0][0] != first[0][0]).any()
        data.begin(3)
        for (x, y), (again_x, again_y) in zip(first, [data[i] for i in range(len(data))], strict=True):
            np.testing.assert_array_equal(x, again_x)
            np.testing.assert_array_equal(y, again_y)

    def test_batches_are_whole_and_of_different_recordings(self, data: DistortedRecordings):
        data.begin(0)
        assert len(data) == 2
        x, y = data[1]
        assert x.shape == (BATCH, 49, 10, 1)
        assert y.shape == (BATCH,)
        assert len(set(data.order[: 2 * BATCH])) == 2 * BATCH

    def test_the_network_passes_features_on_as_they_are(self, data: DistortedRecordings):
        network = build_network()
        every = np.arange(-128, 128).astype(np.int8)
        x = as_inputs(np.resize(every, (1, 49, 10)))
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(network.get_layer("features")(x, training=True)), x)


def test_every_stored_activation_is_rounded_and_inner_layers_are_ternary():
    ternary = ternarize(build_network(), "twn")
    rounded = [layer.name for layer in ternary.layers if isinstance(layer, ActivationQuantizer)]
    assert rounded[0] == "features"
    assert len(rounded) == 10
    final = finalize(ternary)
    for layer in final.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D) and layer.name != "conv":
            assert len(np.unique(layer.get_weights()[0])) == 3, layer.name
    assert len(np.unique(final.get_layer("conv").get_weights()[0])) > 1000


def test_interrupted_training_goes_on(data: DistortedRecordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begun: list[int] = []
    begin = data.begin

    def interrupting(epoch: int) -> None:
        begun.append(epoch)
        if begun == [0, 1]:
            raise KeyboardInterrupt
        begin(epoch)

    monkeypatch.setattr(data, "begin", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train(build_network(), data, 2, 1e-3, tmp_path)
    model = build_network()
    train(model, data, 2, 1e-3, tmp_path)
    assert begun == [0, 1, 1]
    assert int(model.optimizer.iterations) == 4
