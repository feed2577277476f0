# SPDX-License-Identifier: GPL-2.0-or-later
"""A server of git repositories over HTTP or, with a certificate and key, HTTPS: git http-backend(1) behind Python's server.

    git_server.py DIRECTORY PORT [CERTIFICATE KEY]      # all repositories below DIRECTORY, for anybody, to read
"""
import http.server
import os
import ssl
import subprocess
import sys


def serve(directory, port, certificate=None, key=None, address='127.0.0.1'):
    """The server, to be run by serve_forever(); .redirect: {path: location}; .asked: the request lines."""
    server = http.server.ThreadingHTTPServer((address, port), Handler)
    server.directory, server.redirect, server.asked = os.fspath(directory), {}, []
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition('?')
        self.server.asked.append(f'{self.command} {self.path}')
        for prefix, location in self.server.redirect.items():
            if path.startswith(prefix):
                self.send_response(301)
                self.send_header('Location', location + self.path[len(prefix):])
                self.send_header('Content-Length', '0')
                return self.end_headers()
        length = int(self.headers.get('Content-Length') or 0)
        # RFC 3875, 4.1
        environment = {'PATH': os.environ['PATH'], 'GIT_PROJECT_ROOT': self.server.directory, 'GIT_HTTP_EXPORT_ALL': '1',
                       'PATH_INFO': path, 'QUERY_STRING': query, 'REQUEST_METHOD': self.command,
                       'CONTENT_TYPE': self.headers.get('Content-Type', ''), 'CONTENT_LENGTH': str(length),
                       'GIT_CONFIG_COUNT': '1', 'GIT_CONFIG_KEY_0': 'safe.directory', 'GIT_CONFIG_VALUE_0': '*'}
        answer = subprocess.run(['git', 'http-backend'], input=self.rfile.read(length), env=environment, stdout=subprocess.PIPE,
                                check=True).stdout
        head, _, body = answer.partition(b'\r\n\r\n')
        headers = dict(line.split(': ', 1) for line in head.decode().split('\r\n'))
        self.send_response(int(headers.pop('Status', '200').split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


if __name__ == '__main__':
    server = serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:5], address='')
    if 'NOTIFY_SOCKET' in os.environ:
        subprocess.run(['systemd-notify', '--ready'], check=True)
    server.serve_forever()
