"""Test the dicts by task, and metrics that are common to all tasks."""

import pytest

from tfgan_zoo import presets
from tfgan_zoo.errors import UserError
from tfgan_zoo.evaluation import DEFAULT_METRIC, EVALUATORS, better_value, check_evaluation
from tfgan_zoo.training.train import FIXED_IMAGES, USE

TASKS = {presets.experiment(name).task for name in presets.PRESETS}


def test_every_stage_has_an_entry_for_every_task():
    assert TASKS == set(EVALUATORS) == set(DEFAULT_METRIC) == set(FIXED_IMAGES) == set(USE)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_default_metric_can_select_the_best_epoch(task):
    assert better_value(DEFAULT_METRIC[task], [DEFAULT_METRIC[task]], task) == "lower"


@pytest.mark.parametrize("name", ["frechet", "kernel", "lss"])
def test_unknown_metrics_raise_an_error_with_the_nearest_names(name):
    experiment = presets.experiment("dcgan_tiny", f"train.evaluate_metrics={name}")
    message = "train.evaluate_metrics must be one of frechet_distance"
    if name != "lss":
        message = f"Unknown train.evaluate_metrics '{name}'. Did you mean {name}_distance"
    with pytest.raises(UserError, match=message):
        check_evaluation(experiment)
