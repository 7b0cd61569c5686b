"""The names that scores go by in metrics.jsonl and in MLflow: `SPLIT/MEASURE`, the same for every model."""

from pianogen.evaluation.report import Results

_AVERAGES = {
    "accuracy": "accuracy",
    "precision_weighted": "weighted_precision",
    "recall_weighted": "weighted_recall",
    "f1_weighted": "weighted_f1",
    "precision_macro": "macro_precision",
    "recall_macro": "macro_recall",
    "f1_macro": "macro_f1",
}
_GROUPS = ("note", "wait", "duration")


def metrics_of(split: str, found: Results) -> dict[str, float]:
    """The scores worth a curve, under their names; what has no value is left out."""
    metrics = {measure: found["averages"][key] for measure, key in _AVERAGES.items()}
    metrics |= {f"f1_weighted_{group}": found["by_group"][group]["weighted_f1"] for group in _GROUPS}
    metrics["nll"] = found["nll"]["nats_per_token"]
    metrics["nll_per_note"] = found["nll"]["nats_per_note"]
    metrics["nll_per_second"] = found["nll"]["nats_per_second"]
    return {f"{split}/{measure}": value for measure, value in metrics.items() if value is not None}
