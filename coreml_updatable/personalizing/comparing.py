"""The network and its k-NN twin with one owner, under the same conditions."""

from collections.abc import Callable

from coreml_updatable.personalizing.advice import advise
from coreml_updatable.personalizing.experiment import run
from coreml_updatable.personalizing.results import Comparison
from coreml_updatable.personalizing.scenario import Scenario
from coreml_updatable.runtime import RunnableModel


def compare(
    network: RunnableModel,
    knn: RunnableModel,
    scenario: Scenario,
    on_progress: Callable[[float, str], None] | None = None,
) -> Comparison:
    """``on_progress`` gets the fraction done in 0..1 and a short detail. The models are not changed."""
    total, done = 2 * len(scenario.seeds), 0

    def count(name: str) -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done / total, f"{name}, {done} of {total} orders")

    network_outcome = run(network, scenario, scenario.network_parameters, lambda: count("network"))
    knn_outcome = run(knn, scenario, scenario.knn_parameters, lambda: count("k-NN"))
    return Comparison(
        kind=scenario.kind,
        label=scenario.label,
        photos=scenario.photos,
        seeds=scenario.seeds,
        owner_pictures=len(scenario.owner_rows),
        held_out_pictures=len(scenario.held_out_rows),
        test_pictures=len(scenario.test_rows),
        test_kinds=dict(sorted(zip(scenario.test_kinds, scenario.test_labels, strict=True))),
        network_parameters={name: float(value) for name, value in scenario.network_parameters.items()},
        knn_parameters={name: float(value) for name, value in scenario.knn_parameters.items()},
        network=network_outcome,
        knn=knn_outcome,
        advice=advise(scenario.kind, scenario.most_photos, network_outcome, knn_outcome, scenario.words),
    )
