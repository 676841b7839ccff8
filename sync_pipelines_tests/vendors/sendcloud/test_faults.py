import pytest

from sync_pipelines.vendors.sendcloud.faults import Fault, explain, parse_faults, still_processing

SHAPES: list[tuple[bytes, list[Fault]]] = [
    (
        b'{"errors": [{"status": "400", "code": "invalid", "detail": "Field required", "source": {"pointer": "/data/a"}}]}',
        [Fault("invalid", "Field required", "/data/a", 400)],
    ),
    (
        b'{"errors": [{"status": 429, "code": "hit_rate_limit", "detail": "Rate limit exceeded: 30 per 1 minute", "title": "x"}]}',
        [Fault("hit_rate_limit", "Rate limit exceeded: 30 per 1 minute", None, 429)],
    ),
    (
        b'{"errors": [{"status": "400", "code": null, "detail": "d", "source": {"parameter": "integration"}}]}',
        [Fault(None, "d", "integration", 400)],
    ),
    (b'{"errors": {"status": "404", "code": "not_found", "title": "Not found"}}', [Fault("not_found", "Not found", None, 404)]),
    (
        b'[{"status": "400", "code": "required", "detail": "This field is required."}]',
        [Fault("required", "This field is required.", None, 400)],
    ),
    (b'{"errors": [{"field": "items", "code": 409, "message": "Already returned"}]}', [Fault("409", "Already returned", "items")]),
    (b'{"errors": [{"field": "to_address", "detail": "Too long"}]}', [Fault(None, "Too long", "to_address")]),
    (b'{"detail": "Parcel does not exist"}', [Fault(None, "Parcel does not exist")]),
    (
        b'{"detail": [{"loc": ["query", 0], "msg": "Bad", "type": "value_error"}]}',
        [Fault("value_error", "Bad", "query/0")],
    ),
    (
        b'{"error": {"code": 404, "request": "api/v2/parcels", "message": "Invalid cursor"}}',
        [Fault("404", "Invalid cursor", None, 404)],
    ),
    (
        b'{"error": "invalid_client", "error_description": "Client authentication failed.", "status_code": 401}',
        [Fault("invalid_client", "Client authentication failed.", None, 401)],
    ),
    (b'{"message": "No labels"}', [Fault(None, "No labels")]),
    (b'{"status": "failed", "message": "Already delivered"}', [Fault("failed", "Already delivered")]),
    (
        b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
        [Fault("NoSuchKey", "The specified key does not exist.")],
    ),
    (b"", []),
    (b"<html><h1>503</h1></html>", []),
    (b"null", []),
    (b"5", []),
    (b'{"errors": [null, "plain"]}', [Fault(None, "plain")]),
    (b"\xff\xfe", []),
]


@pytest.mark.parametrize(("body", "faults"), SHAPES)
def test_every_known_error_body_is_read(body: bytes, faults: list[Fault]) -> None:
    assert parse_faults(body) == faults


def test_explanations_name_the_place() -> None:
    assert explain(SHAPES[0][0]) == "Field required (/data/a)"


def test_a_body_without_words_is_explained_by_its_status() -> None:
    assert explain(b"", status=412) == "no explanation (HTTP 412)"


def test_only_the_pointer_to_the_whole_batch_means_still_processing() -> None:
    assert still_processing([Fault("invalid", "…", "/data", 400)])
    assert not still_processing([Fault("invalid", "…", "/data/attributes/", 400)])
