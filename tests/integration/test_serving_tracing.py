"""Spans of requests, for who wants them."""

import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from recommender.errors import UsageError
from recommender.settings import Serving
from serving import tracing
from serving.tracing import Traced
from tests.integration.serving_world import PAGE, client_of

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_request_is_one_span_of_its_callers_trace_and_holds_no_id_of_anybody(tmp_path: Path) -> None:
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with client_of(tmp_path) as client:
        traced = TestClient(Traced(client.app, provider), headers=dict(client.headers))
        told = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        answer = traced.post("/v1/recommend", json=PAGE, headers=told)
        traced.get("/v1/customers/crm:1")
    page, person = kept.get_finished_spans()
    assert page.attributes == {
        "http.response.status_code": 200,
        "http.route": "/v1/recommend",
        "murmeli.request_id": answer.headers["x-request-id"],
    }
    assert (page.name, format(page.context.trace_id, "032x")) == ("POST /v1/recommend", TRACE)
    assert person.name == "GET /v1/customers/{customer:path}"
    assert "crm:1" not in page.to_json() + person.to_json()


def test_tracing_is_off_by_default_and_says_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Serving().tracing
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(UsageError, match=r"murmeli\[otel\]"):
        tracing.provider()
