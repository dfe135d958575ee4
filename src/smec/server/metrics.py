"""What Prometheus reads at ``/metrics``: counts, times and sizes; never texts, vectors or tokens."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES = tuple(float(4**power) for power in range(10))


class Metrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "smec_requests",
            "Answered requests.",
            ("endpoint", "model", "caller", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "smec_request_seconds", "From head to answer.", ("endpoint",), buckets=SECONDS, registry=registry
        )
        self.in_flight = Gauge("smec_requests_in_flight", "Accepted, not yet answered.", registry=registry)
        self.inputs = Histogram(
            "smec_request_inputs", "Inputs of a request.", ("endpoint",), buckets=SIZES, registry=registry
        )
        self.batch_rows = Histogram(
            "smec_batch_rows", "Rows projected together.", buckets=SIZES, registry=registry
        )
        self.batch_requests = Histogram(
            "smec_batch_requests", "Requests projected together.", buckets=SIZES, registry=registry
        )
        self.upstream_seconds = Histogram(
            "smec_upstream_seconds", "Of a good upstream answer.", buckets=SECONDS, registry=registry
        )
        self.upstream_errors = Counter(
            "smec_upstream_errors", "Tries that failed.", ("kind",), registry=registry
        )
        self.upstream_retries = Counter("smec_upstream_retries", "Tries after others.", registry=registry)
        self.drift = Gauge(
            "smec_drift_cosine",
            "Smallest cosine of the canary texts' embeddings to the stored ones.",
            ("model",),
            registry=registry,
        )
        self.drift_errors = Counter(
            "smec_drift_check_errors", "Checks without an answer.", ("model",), registry=registry
        )
        self.serving = Gauge(
            "smec_model_serving", "1 if requests are answered.", ("model",), registry=registry
        )
        self.reloads = Counter(
            "smec_reloads", "Compressors read again.", ("model", "outcome"), registry=registry
        )

    def page(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
