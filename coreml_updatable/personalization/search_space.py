"""The settings that tuning may choose, and how Optuna proposes them."""

from typing import Any

from coreml_updatable.personalization.contenders import Contender, Values, most_samples, reserved_share

BATCHES = (1, 2, 4, 8, 16, 32)
SHARES = (1e-7, 0.1)  # of an answer, for reserved labels; marking allows no more
INTEGERS = ("epochs", "miniBatchSize", "numberOfNeighbors", "baseSamples")
STEPPED = ("learningRate", "epochs", "miniBatchSize", "numberOfNeighbors", "headScale", "baseSamples", "reservedShare")
FACTORS = (0.25, 0.5, 2.0, 4.0)
REPLAYS = (0, 2, 4, 8, 16)


def defaults_of(contender: Contender) -> dict[str, Any]:
    p = contender.parameters
    if contender.votes is not None:
        weighting = "uniform" if contender.votes.uniform else "inverse-distance"
        result: dict[str, Any] = {"numberOfNeighbors": int(p["numberOfNeighbors"]), "weighting": weighting}
        return {**result, **({"baseSamples": most_samples(contender)} if most_samples(contender) > 1 else {})}
    result = {key: p[key] for key in ("learningRate", "epochs", "miniBatchSize")}
    result = (
        {"optimizer": "adam", **result} if "beta1" in p else {"optimizer": "sgd", **result, "momentum": p["momentum"]}
    )
    share = reserved_share(contender)
    scale = {} if contender.layer is None else {"headScale": 1.0}
    return {**result, **scale, **({} if share is None else {"reservedShare": share})}


def as_proposal(values: Values, replay: bool) -> dict[str, Any]:
    """The defaults in the names of the search; what lies outside its ranges is proposed as the nearest within."""
    if "numberOfNeighbors" in values:
        return {**values, "numberOfNeighbors": min(15, int(values["numberOfNeighbors"]))}
    given: dict[str, Any] = {
        "learningRate": min(1.0, max(1e-4, float(values["learningRate"]))),
        "epochs": min(60, max(1, int(values["epochs"]))),
        "miniBatchSize": min(BATCHES, key=lambda size: abs(size - int(values["miniBatchSize"]))),
    }
    if "headScale" in values:
        given |= {"headScale": 1.0, "optimizer": values["optimizer"]}
    if values["optimizer"] == "sgd":
        given["momentum"] = min(0.95, float(values["momentum"]))
    if "reservedShare" in values:
        given["reservedShare"] = min(SHARES[1], max(SHARES[0], float(values["reservedShare"])))
    return {**given, **({"replay": 0} if replay else {})}


def proposed(trial: Any, contender: Contender, replay: bool) -> dict[str, Any]:
    if contender.votes is not None:
        values = {
            "numberOfNeighbors": trial.suggest_int("numberOfNeighbors", 1, 15),
            "weighting": trial.suggest_categorical("weighting", ["inverse-distance", "uniform"]),
        }
        if most_samples(contender) > 1:
            values["baseSamples"] = trial.suggest_int("baseSamples", 1, most_samples(contender), log=True)
        return values
    own = "adam" if "beta1" in contender.parameters else "sgd"
    values = {
        "optimizer": trial.suggest_categorical("optimizer", ["sgd", "adam"]) if contender.layer is not None else own,
        "learningRate": trial.suggest_float("learningRate", 1e-4, 1.0, log=True),
        "epochs": trial.suggest_int("epochs", 1, 60, log=True),
        "miniBatchSize": trial.suggest_categorical("miniBatchSize", list(BATCHES)),
    }
    if contender.layer is not None:
        values["headScale"] = trial.suggest_float("headScale", 0.25, 4.0, log=True)
    if values["optimizer"] == "sgd":
        values["momentum"] = trial.suggest_float("momentum", 0.0, 0.95)
    if reserved_share(contender) is not None:
        values["reservedShare"] = trial.suggest_float("reservedShare", *SHARES, log=True)
    if replay:
        values["replay"] = trial.suggest_categorical("replay", list(REPLAYS))
    return values


def beside(values: Values) -> list[dict[str, Any]]:
    """The chosen values with one of them at a quarter, half, twice and four times."""
    result = []
    for key in STEPPED:
        for factor in FACTORS if key in values else ():
            value = values[key] * factor
            moved = max(1, round(value)) if key in INTEGERS else float(value)
            moved = min(moved, SHARES[1]) if key == "reservedShare" else moved
            if moved != values[key] and {**values, key: moved} not in result:
                result.append({**values, key: moved})
    return result
