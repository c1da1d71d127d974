import keras
import numpy as np
import pytest
from callback_models import PENALTY, codes, diverging_model, fit, make_model, warned
from sample_models import JIT

from tern_keras import profile
from tern_keras.callbacks import LatentHistory, QuantizationMonitor, TensorBoard, latent_history
from tern_keras.layers import QuantDense, QuantLSTM
from tern_keras.quantizers import SQ, TWN


class TestLogs:
    def test_are_those_of_the_profile(self):
        model = make_model(second=SQ(PENALTY))
        history = fit(model, QuantizationMonitor(), epochs=2)
        rows = {row.name: row for row in profile(model).layers if row.name in ("hidden", "head")}
        for name, row in rows.items():
            assert history[f"{name}/density"][-1] == pytest.approx(row.density)
            assert history[f"{name}/bits"][-1] == row.bits
        assert [history["hidden/scale_pos"][-1], history["hidden/scale_neg"][-1]] == pytest.approx(
            rows["hidden"].scales
        )
        assert history["head/scale"][-1] == pytest.approx(np.mean(rows["head"].scales))
        assert history["head/beta"][-1] == pytest.approx(float(model.layers[-1].kernel_quantizer.beta))
        density = (32 * rows["hidden"].density + 16 * rows["head"].density) / 48
        assert history["density"][-1] == pytest.approx(density)
        assert all(len(values) == 2 for values in history.values())

    def test_flip_ratio_is_that_of_one_epoch(self):
        model = make_model(optimizer=keras.optimizers.SGD(0.3))
        states = [(codes(model.layers[0]), codes(model.layers[-1]))]
        remember = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: states.append((codes(model.layers[0]), codes(model.layers[-1])))
        )
        monitor = QuantizationMonitor()
        history = fit(model, monitor, remember, epochs=2)
        for epoch in range(2):
            flips = [np.count_nonzero(a != b) for a, b in zip(states[epoch], states[epoch + 1], strict=True)]
            assert history["hidden/flip_ratio"][epoch] == pytest.approx(flips[0] / 32)
            assert history["flip_ratio"][epoch] == pytest.approx(sum(flips) / 48)
        assert history["flip_ratio"][0] > 0

    def test_flip_ratio_of_a_resumed_training(self, tmp_path):
        """The first epoch is compared with the restored weights, whatever the order of the callbacks."""
        model = make_model(optimizer=keras.optimizers.SGD(0.3))
        backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        fit(model, backup)
        restored = codes(model.layers[0])
        model = make_model(optimizer=keras.optimizers.SGD(0.3))
        model.layers[0].kernel.assign(-model.layers[0].kernel)
        history = fit(model, QuantizationMonitor(), keras.callbacks.BackupAndRestore(tmp_path), epochs=2)
        flips = np.mean(codes(model.layers[0]) != restored)
        assert history["hidden/flip_ratio"] == [pytest.approx(flips)]

    def test_a_decided_depth(self):
        model = make_model(second=SQ(PENALTY))
        quantizer = model.layers[-1].kernel_quantizer
        quantizer.beta.assign(1.57)
        history = fit(model, QuantizationMonitor())
        assert quantizer.binary
        assert (history["head/bits"][0], history["head/density"][0]) == (1, 1)
        assert history["bits"][0] == pytest.approx((32 * 2 + 16 * 1) / 48)

    def test_totals_alone(self):
        assert set(fit(make_model(), QuantizationMonitor(per_layer=False))) == {"loss", "density", "bits", "flip_ratio"}

    def test_several_kernels_and_equal_names(self):
        def branch():
            return keras.Sequential([keras.Input((4,)), QuantDense(3, kernel_quantizer="rel", name="same")])

        inputs = keras.Input((4,))
        x = keras.layers.Concatenate()([branch()(inputs), branch()(inputs)])
        x = keras.layers.Reshape((2, 3))(x)
        outputs = QuantLSTM(2, kernel_quantizer="twn", recurrent_quantizer="twn", name="lstm")(x)
        model = keras.Model(inputs, outputs)
        model.compile("sgd", "mse", jit_compile=JIT)
        densities = {key for key in fit(model, QuantizationMonitor()) if key.endswith("/density")}
        assert densities == {"same/density", "same_2/density", "lstm/kernel/density", "lstm/recurrent/density"}

    def test_a_name_that_another_layer_has(self):
        def branch():
            return keras.Sequential([keras.Input((4,)), QuantDense(4, kernel_quantizer="twn", name="d")])

        inputs = keras.Input((4,))
        x = QuantDense(2, kernel_quantizer="twn", name="d_2")(branch()(branch()(inputs)))
        model = keras.Model(inputs, x)
        model.compile("sgd", "mse", jit_compile=JIT)
        densities = {key for key in fit(model, QuantizationMonitor()) if key.endswith("/density")}
        assert densities == {"d/density", "d_2/density", "d_2_2/density"}

    def test_reach_the_callbacks_behind(self, tmp_path):
        path = tmp_path / "log.csv"
        history = fit(make_model(), QuantizationMonitor(), keras.callbacks.CSVLogger(path))
        header, row = path.read_text().splitlines()
        logged = dict(zip(header.split(","), row.split(","), strict=True))
        assert float(logged["hidden/density"]) == pytest.approx(history["hidden/density"][0])

    def test_of_a_model_without_quantised_layers(self):
        assert set(fit(make_model(None, None), QuantizationMonitor())) == {"loss"}


class TestLatentHistory:
    def test_counts_each_weight_under_its_code(self):
        model = make_model()
        history = LatentHistory(bins=10)
        fit(model, history, epochs=2)
        assert list(history.records) == ["hidden", "head"]
        record = history.records["hidden"]
        assert record.epochs.tolist() == [0, 1, 2]
        assert record.edges.shape == (3, 11)
        expected = [np.sum(codes(model.layers[0]) == code) for code in (-1, 0, 1)]
        assert record.counts[-1].sum(axis=1).tolist() == expected
        assert (record.counts.sum(axis=(1, 2)) == 32).all()
        latent = keras.ops.convert_to_numpy(model.layers[0].kernel)
        np.testing.assert_allclose(record.edges[-1][[0, -1]], [latent.min(), latent.max()], rtol=1e-6)
        zeros = latent[codes(model.layers[0]) == 0]
        np.testing.assert_allclose(record.thresholds[-1], [zeros.min(), zeros.max()])

    def test_binary_kernels_have_no_thresholds(self):
        history = LatentHistory()
        fit(make_model(first="bwn"), history)
        assert np.isnan(history.records["hidden"].thresholds).all()
        assert (history.records["hidden"].counts[:, 1] == 0).all()

    def test_every_second_epoch(self):
        history = LatentHistory(freq=2)
        fit(make_model(), history, epochs=5)
        assert history.records["head"].epochs.tolist() == [0, 2, 4]

    def test_a_resumed_training_carries_on(self, tmp_path):
        path = tmp_path / "logs" / "latent.npz"
        model = make_model()
        fit(model, LatentHistory(path=path), epochs=3)
        before = latent_history.load(path)["head"]
        # interrupted after the second epoch: the third is trained again
        resumed = LatentHistory(path=path)
        fit(model, resumed, initial_epoch=2, epochs=4)
        after = latent_history.load(path)["head"]
        assert after.epochs.tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_array_equal(after.counts[:2], before.counts[:2])
        for name, rows in vars(resumed.records["head"]).items():
            np.testing.assert_array_equal(rows, getattr(after, name))
        assert [file.name for file in path.parent.iterdir()] == ["latent.npz"]

    def test_a_new_training_begins_anew(self, tmp_path):
        path = tmp_path / "latent.npz"
        fit(make_model(), LatentHistory(path=path), epochs=3)
        model = make_model(optimizer=keras.optimizers.SGD(0.0))
        fit(model, LatentHistory(path=path), epochs=1)
        record = latent_history.load(path)["head"]
        assert record.epochs.tolist() == [0, 1]
        np.testing.assert_array_equal(record.counts[0], record.counts[1])

    def test_a_new_training_of_another_model(self, tmp_path):
        path = tmp_path / "latent.npz"
        fit(make_model(), LatentHistory(path=path), epochs=2)
        other = keras.Sequential([keras.Input((4,)), QuantDense(2, kernel_quantizer="twn", name="alone")])
        other.compile("sgd", "mse", jit_compile=JIT)
        fit(other, LatentHistory(path=path))
        assert list(latent_history.load(path)) == ["alone"]

    def test_a_training_that_diverges(self, tmp_path):
        path = tmp_path / "latent.npz"
        history = LatentHistory(path=path)
        with warned("'hidden': .* NaN or infinite"):
            fit(diverging_model(), history, epochs=3)
        assert history.records["head"].epochs.tolist() == [0]
        assert latent_history.load(path)["head"].epochs.tolist() == [0]

    def test_other_files(self, tmp_path):
        text, arrays = tmp_path / "log.csv", tmp_path / "arrays.npz"
        text.write_text("epoch,loss")
        np.savez(arrays, x=np.zeros(3))
        for path in (text, arrays):
            with pytest.raises(ValueError, match=rf"{path.name} is no file that LatentHistory\(path=...\) has written"):
                LatentHistory(path=path)

    def test_bad_arguments(self, tmp_path):
        with pytest.raises(ValueError, match="freq and bins must be >= 1"):
            LatentHistory(freq=0)
        path = tmp_path / "latent.npz"
        fit(make_model(), LatentHistory(path=path, bins=10))
        with pytest.raises(ValueError, match="histograms of 10 bins, received bins=40"):
            LatentHistory(path=path)


class TestTensorBoard:
    @pytest.fixture
    def read(self):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        def read(folder):
            events = EventAccumulator(str(folder / "train"), size_guidance={"tensors": 0})
            events.Reload()
            return events

        return read

    def test_writes_the_quantised_kernels(self, tmp_path, read):
        import tensorflow as tf

        model = make_model(second=TWN(factor=0.5))
        fit(model, QuantizationMonitor(), TensorBoard(tmp_path), epochs=2)
        events = read(tmp_path)
        tags = set(events.Tags()["tensors"])
        assert {"hidden/latent", "hidden/codes", "hidden/scale_pos", "hidden/scale_neg", "head/scale"} <= tags
        assert {"epoch_loss", "epoch_head/density"} <= tags
        assert [event.step for event in events.Tensors("head/codes")] == [0, 1]
        buckets = tf.make_ndarray(events.Tensors("head/codes")[-1].tensor_proto)
        filled = buckets[buckets[:, 2] > 0]
        values, counts = np.unique(codes(model.layers[-1]), return_counts=True)
        assert filled[:, 2].tolist() == counts.tolist()
        assert all(low <= value <= high for value, (low, high, _) in zip(values, filled, strict=True))
        scale = tf.make_ndarray(events.Tensors("head/scale")[-1].tensor_proto)
        assert float(scale) == pytest.approx(model.layers[-1].quantized_kernel().scales.item())

    def test_every_second_epoch(self, tmp_path, read):
        fit(make_model(), TensorBoard(tmp_path, histogram_freq=2), epochs=3)
        assert [event.step for event in read(tmp_path).Tensors("head/codes")] == [0, 2]

    def test_a_training_that_diverges(self, tmp_path, read):
        with warned("'hidden': .* NaN or infinite"):
            fit(diverging_model(), TensorBoard(tmp_path), epochs=2)
        assert "head/codes" not in read(tmp_path).Tags()["tensors"]
        assert len(read(tmp_path).Tensors("epoch_loss")) == 2

    def test_no_histograms(self, tmp_path, read):
        fit(make_model(), TensorBoard(tmp_path, histogram_freq=0))
        assert "head/codes" not in read(tmp_path).Tags()["tensors"]

    def test_without_the_package(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ImportError, match=r"tern-keras\[tensorboard\]"):
            TensorBoard()
