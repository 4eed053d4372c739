"""Which axis a curve has, as `define_metric` says it on the wire."""

from cola_sweep.server.curve_axes import axes, own_axes


def test_axes_are_what_define_metric_says() -> None:
    metrics = [{"1": "batch"}, {"2": "*", "5": 1}, {"1": "valid/mcc", "4": "epoch"}, "odd", {"2": "x", "5": 99}]
    config = {"_wandb": {"value": {"m": metrics}}}
    keys = ["batch", "epoch", "valid/mcc", "loss"]
    assert axes(config, keys) == ("_runtime", "_timestamp", "batch", "epoch")
    assert own_axes(config, keys) == {"valid/mcc": "epoch", "loss": "batch", "epoch": "batch"}
    assert own_axes({}, keys) == {}
