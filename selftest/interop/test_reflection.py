# SPDX-License-Identifier: GPL-2.0-or-later
"""Reflection (both versions) and health of our server, as grpcio's client sees them."""

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from harness import TIMEOUT, pb

OFFERED = [
    "echo.Echo",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
]
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


@pytest.fixture(params=["v1", "v1alpha"])
def ask(request, channel):
    """Asks on a stream: ask(request fields, ...) returns as many answers."""
    package = f"grpc.reflection.{request.param}"
    stub = pb.stub(channel, f"{package}.ServerReflection")
    message = pb.msg(f"{package}.ServerReflectionRequest")

    def asker(*requests):
        answers = list(stub.ServerReflectionInfo((message(**fields) for fields in requests), timeout=TIMEOUT))
        for answer, fields in zip(answers, requests):
            assert answer.original_request == message(**fields)
        assert len(answers) == len(requests)
        return answers

    return asker


def files(answer):
    assert answer.WhichOneof("message_response") == "file_descriptor_response", answer
    protos = answer.file_descriptor_response.file_descriptor_proto
    return [descriptor_pb2.FileDescriptorProto.FromString(proto) for proto in protos]


def error(answer):
    assert answer.WhichOneof("message_response") == "error_response", answer
    return answer.error_response


def test_lists_what_is_offered(ask):
    (answer,) = ask({"host": "here", "list_services": "*"})
    assert sorted(service.name for service in answer.list_services_response.service) == OFFERED
    assert answer.valid_host == "here"


def test_builds_a_client_from_nothing(ask, channel):
    """As grpcurl does: services, then files, then a call with messages made of them."""
    pool = descriptor_pool.DescriptorPool()
    (answer,) = ask({"file_containing_symbol": "echo.Echo"})
    for proto in reversed(files(answer)):
        pool.Add(proto)
    method = pool.FindServiceByName("echo.Echo").FindMethodByName("Unary")
    assert method.input_type.full_name == "echo.EchoRequest"
    assert method.output_type.fields_by_name["payload"].number == 2


SYMBOLS = {
    "echo.Echo": "echo.proto",
    "echo.Echo.Unary": "echo.proto",
    "echo.Unoffered": "echo.proto",
    "echo.EchoRequest": "echo.proto",
    "echo.EchoRequest.payload": "echo.proto",
    "echo.Nesting.Inner": "echo.proto",
    "echo.Nesting.Inner.Depth": "echo.proto",
    "echo.Nesting.Inner.DEEP": "echo.proto",
    "echo.Nesting.choice": "echo.proto",
    "echo.extensions.outer": "echo-extensions.proto",
    "echo.extensions.Scope.inner": "echo-extensions.proto",
    "grpc.health.v1.Health.Check": "health.proto",
    "grpc.reflection.v1alpha.ServerReflection": "reflection_v1alpha.proto",
}


def test_finds_symbols(ask):
    answers = ask(*({"file_containing_symbol": symbol} for symbol in SYMBOLS))
    assert [files(answer)[0].name for answer in answers] == list(SYMBOLS.values())


def test_finds_files_with_their_imports(ask):
    (answer,) = ask({"file_by_filename": "echo-extensions.proto"})
    assert [file.name for file in files(answer)] == ["echo-extensions.proto", "echo.proto"]


def test_finds_extensions(ask):
    base = "echo.extensions.Extendable"
    answers = ask(
        {"file_containing_extension": {"containing_type": base, "extension_number": 101}},
        {"all_extension_numbers_of_type": base},
        {"all_extension_numbers_of_type": "echo.EchoRequest"},
    )
    assert files(answers[0])[0].name == "echo-extensions.proto"
    numbers = answers[1].all_extension_numbers_response
    assert (numbers.base_type_name, sorted(numbers.extension_number)) == (base, [100, 101])
    assert list(answers[2].all_extension_numbers_response.extension_number) == []
    assert answers[2].all_extension_numbers_response.base_type_name == "echo.EchoRequest"


def test_what_is_not_there_is_not_found(ask):
    answers = ask(
        {"file_by_filename": "nothing.proto"},
        {"file_containing_symbol": "echo.Nothing"},
        {"file_containing_symbol": ""},
        {"file_containing_symbol": "x" * 100000},
        {"file_containing_extension": {"containing_type": "echo.EchoRequest", "extension_number": 1}},
        {"all_extension_numbers_of_type": "echo.Echo"},
        {"list_services": ""},
    )
    for answer in answers[:-1]:
        assert error(answer).error_code == grpc.StatusCode.NOT_FOUND.value[0]
        assert error(answer).error_message
    # One error does not end the stream.
    assert len(answers[-1].list_services_response.service) == len(OFFERED)


def test_an_empty_request_is_answered(ask):
    (answer,) = ask({})
    assert error(answer).error_code == grpc.StatusCode.UNIMPLEMENTED.value[0]


def test_answers_keep_their_order(ask):
    names = ["echo.proto", "health.proto", "reflection_v1.proto", "nothing.proto"] * 250
    answers = ask(*({"file_by_filename": name} for name in names))
    for name, answer in zip(names, answers):
        if name == "nothing.proto":
            assert error(answer).error_code == grpc.StatusCode.NOT_FOUND.value[0]
        else:
            assert files(answer)[0].name == name


# Health


@pytest.fixture
def health(channel):
    stub = pb.stub(channel, "grpc.health.v1.Health")
    stub.request = pb.msg("grpc.health.v1.HealthCheckRequest")
    return stub


@pytest.mark.parametrize("service", ["", *OFFERED])
def test_check(health, service):
    assert health.Check(health.request(service=service), timeout=TIMEOUT).status == SERVING


def test_check_of_an_unknown_service(health):
    for service in ("echo.Unoffered", "echo", "x"):
        with pytest.raises(grpc.RpcError) as failure:
            health.Check(health.request(service=service), timeout=TIMEOUT)
        assert failure.value.code() is grpc.StatusCode.NOT_FOUND


def test_watch(server, health):
    """Watchers hear that the server stops serving, and are let go, so that it can."""
    watches = [health.Watch(health.request(service=name), timeout=TIMEOUT) for name in ("", "echo.Echo", "x")]
    assert [next(watch).status for watch in watches] == [SERVING, SERVING, SERVICE_UNKNOWN]
    server.command("not-serving")
    assert [next(watch).status for watch in watches] == [NOT_SERVING, NOT_SERVING, SERVICE_UNKNOWN]
    for watch in watches:
        with pytest.raises(grpc.RpcError) as failure:
            next(watch)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert health.Check(health.request(), timeout=TIMEOUT).status == NOT_SERVING

    server.command("serving")
    watch = health.Watch(health.request(), timeout=TIMEOUT)
    assert next(watch).status == SERVING
    watch.cancel()


def test_a_watched_server_drains(server, health):
    watch = health.Watch(health.request(), timeout=TIMEOUT)
    assert next(watch).status == SERVING
    server.command("not-serving")
    server.command("drain")
    server.expect("drained")
