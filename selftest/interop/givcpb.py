# SPDX-License-Identifier: GPL-2.0-or-later
"""givc's messages and services for tests in Python, out of the build's descriptor set: no generated code, no pip.

    pb = givcpb.load("build/proto/givc-descriptors.pb")
    request = pb.msg("admin.RegistryRequest")(Name="givc-a.service", Type=8)
    answer = pb.stub(channel, "admin.AdminService").RegisterService(request, timeout=5)
    server.add_generic_rpc_handlers((pb.handler("systemd.UnitControlService", Implementation()),))
"""

from types import SimpleNamespace

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def load(path):
    """The contract as the file at path tells it."""
    with open(path, "rb") as file:
        return Contract(descriptor_pb2.FileDescriptorSet.FromString(file.read()))


class Contract:
    def __init__(self, file_set):
        # A pool of its own: the default one may hold other files of the same names.
        self._pool = descriptor_pool.DescriptorPool()
        self._factory = message_factory.MessageFactory(self._pool)
        self._classes = {}
        self._services = {}
        for file in file_set.file:
            self._pool.Add(file)
            for service in file.service:
                self._services[f"{file.package}.{service.name}"] = service.method

    def msg(self, name):
        """The class of a message, by its full name. One class per name, so that isinstance() and == work."""
        if name not in self._classes:
            self._classes[name] = _message_class(self._factory, self._pool.FindMessageTypeByName(name))
        return self._classes[name]

    def enum(self, name):
        """The values of an enumeration: pb.enum("notify.UrgencyLevel")["CRITICAL"]."""
        return {value.name: value.number for value in self._pool.FindEnumTypeByName(name).values}

    def services(self):
        """The full names of all services."""
        return sorted(self._services)

    def methods(self, service):
        """The methods of a service: name, path, kind ("unary_stream", ...), request and response class of each."""
        return [self._method(service, method) for method in self._services[service]]

    def stub(self, channel, service):
        """An object with one callable per method of the service, as grpcio's generated stubs have (grpc.aio too)."""
        return SimpleNamespace(
            **{
                method.name: getattr(channel, method.kind)(
                    method.path,
                    request_serializer=method.request.SerializeToString,
                    response_deserializer=method.response.FromString,
                )
                for method in self.methods(service)
            }
        )

    def handler(self, service, implementation):
        """A generic handler that calls implementation.<Method>(request or iterator, context), as grpcio's servicers
        are called. What the implementation does not have is answered UNIMPLEMENTED."""
        handlers = {
            method.name: getattr(grpc, f"{method.kind}_rpc_method_handler")(
                getattr(implementation, method.name),
                request_deserializer=method.request.FromString,
                response_serializer=method.response.SerializeToString,
            )
            for method in self.methods(service)
            if hasattr(implementation, method.name)
        }
        return grpc.method_handlers_generic_handler(service, handlers)

    def _method(self, service, method):
        arity = {False: "unary", True: "stream"}
        return SimpleNamespace(
            name=method.name,
            path=f"/{service}/{method.name}",
            kind=f"{arity[method.client_streaming]}_{arity[method.server_streaming]}",
            request=self.msg(method.input_type.lstrip(".")),
            response=self.msg(method.output_type.lstrip(".")),
        )


def _message_class(factory, descriptor):
    # Python protobuf 4.22 has the function, and later versions no longer the method.
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return factory.GetPrototype(descriptor)
